#include "cli/train_request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/command.h"
#include "cli/run_environment.h"
#include "config/command_line.h"
#include "config/option_help.h"
#include "config/option_table.h"
#include "config/resolve.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "telemetry/terminal.h"

namespace holdfast::cli {

namespace {

const std::array kTrainOptions = {
    config::CommandOption{"config", "FILE", "settings of the run, JSON with // comments"},
    config::CommandOption{
        "resume",
        "FROM",
        "auto (default: go on if there is something to go on from), latest, best, "
        "previous-best, backup, a step, a path, or never"},
    config::CommandOption{"resume-from-step", "STEP", "the same as --resume STEP"},
    config::CommandOption{
        "allow-change", "KEY", "let a resumed run change this setting of its mathematics"},
    config::CommandOption{
        "allow-unlocked",
        "",
        "train where the file system has no locks; make sure yourself that nobody else does"},
    config::CommandOption{"nproc-per-node",
                          "N",
                          "ranks on this machine, each a process of its own; auto: one a GPU, or "
                          "one. They give the bits of one rank"},
    config::CommandOption{"nnodes", "N", "machines of the run; start the same on each"},
    config::CommandOption{"node-rank", "N", "which of them this is, from 0"},
    config::CommandOption{"master-addr", "HOST", "the machine of rank 0, as all reach it"},
    config::CommandOption{"master-port", "PORT", "where the ranks meet there; default 29500"},
    config::CommandOption{"max-restarts",
                          "N",
                          "after a failure start the ranks again from the newest checkpoint, so "
                          "often; default 0"},
    config::CommandOption{"min-ranks", "N", "a restart may go on with as few; default: all"},
    config::CommandOption{"local-rank", "N", "ignored: some launchers add it"},
    config::CommandOption{"list-checkpoints", "", "list the run's checkpoints and stop"},
    config::CommandOption{"dry-run", "", "check settings and data, print them, and stop"},
    config::CommandOption{"help", "", "this text", "h"},
};

// The value of a whole number's option in [minimum, maximum].
int number_of(
    const config::CommandLine& line, const char* name, int value, int minimum, int maximum) {
    if (!line.has(name)) {
        return value;
    }
    const std::string text = line.value(name);
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < minimum ||
        number > maximum) {
        fail_usage(fmt::format("--{}: expected a whole number from {} to {}, found '{}'",
                               name,
                               minimum,
                               maximum,
                               text));
    }
    return number;
}

constexpr int kRanksMax = 65536;

// The options that start ranks, as they were given: a resumed run is started with them too.
std::vector<std::string> launch_words_of(const config::CommandLine& line) {
    std::vector<std::string> words;
    for (const char* name : {"nproc-per-node",
                             "nnodes",
                             "node-rank",
                             "master-addr",
                             "master-port",
                             "max-restarts",
                             "min-ranks"}) {
        if (line.has(name)) {
            words.push_back(fmt::format("--{}", name));
            words.push_back(line.value(name));
        }
    }
    return words;
}

dist::LaunchConfig parse_launch(const config::CommandLine& line) {
    dist::LaunchConfig launch;
    if (line.value("nproc-per-node") == "auto") {
        launch.nproc_per_node = std::max(1, gpu_count());
    } else {
        launch.nproc_per_node = number_of(line, "nproc-per-node", 1, 1, kRanksMax);
    }
    launch.nnodes = number_of(line, "nnodes", 1, 1, kRanksMax);
    launch.node_rank = number_of(line, "node-rank", 0, 0, kRanksMax);
    launch.master_addr = line.value("master-addr");
    launch.master_port = number_of(line, "master-port", 0, 0, 65535);
    launch.max_restarts = number_of(line, "max-restarts", 0, 0, 1'000'000);
    launch.min_ranks = number_of(line, "min-ranks", launch.nproc_per_node, 1, kRanksMax);
    const base::Status valid = dist::check_launch_config(launch);
    if (!valid.ok()) {
        fail_usage(valid.error().what);
    }
    return launch;
}

}  // namespace

void print_train_help() {
    fmt::print("{}",
               "usage: holdfast train --config FILE [--resume FROM] [--KEY VALUE ...]\n\n"
               "Trains, saves as it goes, and stops cleanly on Ctrl+C or SIGTERM; start it again "
               "with the same\n"
               "words and it goes on with the bits it would have had. Every setting below can "
               "stand in the\n"
               "config file, in the environment (HOLDFAST_MODEL__N_LAYER=4) or here; the last of "
               "these wins.\n\n");
    print_command_help("", kTrainOptions);
    fmt::print("\nsettings:\n{}",
               config::help_text(config::option_table(), telemetry::terminal_columns()));
}

std::string TrainRequest::launch_json() const {
    std::array<char, 4096> directory{};
    nlohmann::ordered_json how;
    how["working_directory"] =
        ::getcwd(directory.data(), directory.size()) == nullptr ? "" : directory.data();
    how["config"] = config_path;
    if (!launch_words.empty()) {
        how["ranks"] = launch_words;
    }
    return how.dump();
}

TrainRequest parse_train_request(const std::vector<std::string>& arguments) {
    const config::CommandLine line = value_or_fail(
        config::parse_command_line(&config::option_table(), kTrainOptions, arguments));
    TrainRequest request;
    request.help = line.has("help");
    if (request.help) {
        return request;
    }
    if (!line.positional.empty()) {
        fail_usage(fmt::format("train takes options only, found '{}'", line.positional.front()));
    }
    request.launch = parse_launch(line);
    request.launch_words = launch_words_of(line);
    request.config_path = line.value("config");
    request.allowed_changes = line.values("allow-change");
    request.allow_unlocked = line.has("allow-unlocked");
    request.dry_run = line.has("dry-run");
    request.list_checkpoints = line.has("list-checkpoints");
    request.resume = value_or_fail(checkpoint::parse_resume_request(
        line.value("resume", line.value("resume-from-step", "auto"))));
    std::optional<std::pair<std::string, std::string>> file;
    if (!request.config_path.empty()) {
        auto text = fs::read_file(fs::real_file_system(), request.config_path, kConfigBytesMax);
        if (!text.ok()) {
            fail_usage(text.error().what);
        }
        file = {request.config_path, std::move(text).value()};
    }
    request.resolved =
        value_or_fail(config::resolve_settings(file, config::process_environment(), line.settings));
    const std::vector<base::Error> problems = config::find_problems(request.resolved.settings);
    for (std::size_t i = 1; i < problems.size(); ++i) {
        base::log_warning("{}", problems.at(i).what);
    }
    if (!problems.empty() && !request.list_checkpoints) {
        fail_usage(problems.front().what);
    }
    return request;
}

}  // namespace holdfast::cli
