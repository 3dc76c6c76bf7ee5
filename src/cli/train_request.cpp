#include "cli/train_request.h"

#include <array>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/command.h"
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
    config::CommandOption{"nproc-per-node", "N", "ranks on this machine; 1 for now"},
    config::CommandOption{"list-checkpoints", "", "list the run's checkpoints and stop"},
    config::CommandOption{"dry-run", "", "check settings and data, print them, and stop"},
    config::CommandOption{"help", "", "this text", "h"},
};

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
    nlohmann::ordered_json launch;
    launch["working_directory"] =
        ::getcwd(directory.data(), directory.size()) == nullptr ? "" : directory.data();
    launch["config"] = config_path;
    return launch.dump();
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
    if (line.value("nproc-per-node", "1") != "1") {
        fail_usage("--nproc-per-node: this version trains with one rank; leave it out or give 1");
    }
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
