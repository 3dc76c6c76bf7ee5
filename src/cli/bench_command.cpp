// holdfast bench: what a part of the program takes on this machine, beside what the machine gives.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/bench_action.h"
#include "cli/command.h"

namespace holdfast::cli {

namespace {

std::array<BenchAction, 2> all_actions() {
    return {bench_checkpoint_action(), bench_collective_action()};
}

void print_help() {
    fmt::print("usage: holdfast bench WHAT [options]\n");
    for (const BenchAction& action : all_actions()) {
        fmt::print("\n  {}\n      {}\n", action.name, action.summary);
    }
    fmt::print("\n`holdfast bench WHAT --help` explains more and lists options.\n");
}

[[noreturn]] void fail_unknown() {
    std::vector<std::string> calls;
    for (const BenchAction& action : all_actions()) {
        calls.push_back(fmt::format("`holdfast bench {}`", action.name));
    }
    fail_usage(fmt::format("bench needs what to measure: {}; `holdfast bench --help` explains",
                           fmt::join(calls, " or ")));
}

}  // namespace

base::ExitCode run_bench(const std::vector<std::string>& arguments) {
    if (!arguments.empty() && (arguments.front() == "--help" || arguments.front() == "-h" ||
                               arguments.front() == "help")) {
        print_help();
        return base::ExitCode::kDone;
    }
    const auto word = std::find_if(arguments.begin(), arguments.end(), [](const std::string& text) {
        return !text.starts_with('-');
    });
    const auto actions = all_actions();
    const auto action = std::find_if(actions.begin(), actions.end(), [&](const BenchAction& known) {
        return word != arguments.end() && known.name == *word;
    });
    if (action == actions.end()) {
        fail_unknown();
    }
    std::vector<std::string> rest(arguments.begin(), word);
    rest.insert(rest.end(), word + 1, arguments.end());
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, action->options, rest));
    if (line.has("help")) {
        print_command_help(action->text, action->options);
        return base::ExitCode::kDone;
    }
    if (!line.positional.empty()) {
        fail_usage(fmt::format(
            "bench {} takes options only, found '{}'", action->name, line.positional.front()));
    }
    return action->run(line, arguments);
}

}  // namespace holdfast::cli
