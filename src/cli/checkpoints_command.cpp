// holdfast checkpoints: what a run has on disk, and what can be done with it.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/words.h"
#include "cli/checkpoints_action.h"
#include "cli/command.h"

namespace holdfast::cli {

namespace {

using base::ExitCode;

std::array<CheckpointsAction, 6> all_actions() {
    return {checkpoints_list_action(),
            checkpoints_verify_action(),
            checkpoints_clean_action(),
            checkpoints_copy_action(),
            checkpoints_hash_action(),
            checkpoints_resume_command_action()};
}

void print_action_help(const CheckpointsAction& action) {
    print_command_help(fmt::format("usage: holdfast checkpoints {} {} [options]\n\n{}\n{}\n",
                                   action.name,
                                   action.operands,
                                   action.summary,
                                   action.text),
                       action.options);
}

void print_help() {
    fmt::print(
        "usage: holdfast checkpoints ACTION DIR [options]\n\n"
        "DIR is a run directory (checkpoints/<name>). All but clean only read, take no lock and "
        "may run\n"
        "beside a trainer. `holdfast checkpoints ACTION --help` explains more and lists "
        "options.\n");
    for (const CheckpointsAction& action : all_actions()) {
        const std::string_view text = action.text;
        const std::size_t example = text.find("  holdfast checkpoints");
        fmt::print("\n  {} {}\n      {}\n", action.name, action.operands, action.summary);
        if (example != std::string_view::npos) {
            const std::string_view line = text.substr(example, text.find('\n', example) - example);
            fmt::print("      $ {}\n", line.substr(2));
        }
    }
}

[[noreturn]] void fail_unknown_action(const std::string& word) {
    std::vector<std::string> names;
    for (const CheckpointsAction& action : all_actions()) {
        names.emplace_back(action.name);
    }
    const auto nearest = base::nearest_word(word, names);
    fail_usage(fmt::format("checkpoints can {}, not '{}'{}",
                           fmt::join(names, ", "),
                           word,
                           nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

}  // namespace

ExitCode run_checkpoints(const std::vector<std::string>& arguments) {
    if (!arguments.empty() && (arguments.front() == "--help" || arguments.front() == "-h" ||
                               arguments.front() == "help")) {
        print_help();
        return ExitCode::kDone;
    }
    const auto word = std::find_if(arguments.begin(), arguments.end(), [](const std::string& text) {
        return !text.starts_with('-');
    });
    if (word == arguments.end()) {
        fail_usage(
            "checkpoints needs what to do and a directory, as in `holdfast checkpoints list "
            "checkpoints/run`; `holdfast checkpoints --help` explains");
    }
    const auto actions = all_actions();
    const auto action =
        std::find_if(actions.begin(), actions.end(), [&](const CheckpointsAction& known) {
            return known.name == *word;
        });
    if (action == actions.end()) {
        fail_unknown_action(*word);
    }
    std::vector<std::string> rest(arguments.begin(), word);
    rest.insert(rest.end(), word + 1, arguments.end());
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, action->options, rest));
    if (line.has("help")) {
        print_action_help(*action);
        return ExitCode::kDone;
    }
    if (line.positional.size() != action->operand_count) {
        fail_usage(
            fmt::format("checkpoints {0} needs {1}, found {2} operand(s); `holdfast "
                        "checkpoints {0} --help` has an example",
                        action->name,
                        action->operands,
                        line.positional.size()));
    }
    return action->run(line);
}

}  // namespace holdfast::cli
