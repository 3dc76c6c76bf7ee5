#include "cli/train_request.h"

#include <algorithm>
#include <array>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/command.h"
#include "cli/launch_options.h"
#include "config/command_line.h"
#include "config/option_help.h"
#include "config/option_table.h"
#include "config/resolve.h"
#include "dist/sum_tree.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "telemetry/terminal.h"

namespace holdfast::cli {

namespace {

const std::array kOwnOptions = {
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
    config::CommandOption{"max-restarts",
                          "N",
                          "after a failure start the ranks again from the newest checkpoint, so "
                          "often; default 0"},
    config::CommandOption{"min-ranks",
                          "N",
                          "a restart may go on with as few when a rank fails twice in a row; "
                          "default: all"},
    config::CommandOption{"local-rank", "N", "ignored: some launchers add it"},
    config::CommandOption{"list-checkpoints", "", "list the run's checkpoints and stop"},
    config::CommandOption{"dry-run", "", "check settings and data, print them, and stop"},
    config::CommandOption{"help", "", "this text", "h"},
};

std::vector<config::CommandOption> train_options() {
    std::vector<config::CommandOption> options(kOwnOptions.begin(), kOwnOptions.end());
    // Among the others that start ranks.
    const auto place =
        std::find_if(options.begin(), options.end(), [](const config::CommandOption& option) {
            return option.name == "max-restarts";
        });
    const std::vector<config::CommandOption> nodes = node_options();
    options.insert(place, nodes.begin(), nodes.end());
    return options;
}

// Who started this process, and whom it must start: dist.nproc_per_node, where it is auto by the
// GPUs that are here.
void read_launch(TrainRequest& request, const config::CommandLine& line) {
    const config::Settings& settings = request.resolved.settings;
    request.started_by = value_or_fail(dist::read_launch_environment(dist::process_environment));
    request.launch = parse_launch(line, [&](int nnodes) {
        if (settings.dist.nproc_per_node > 0) {
            return static_cast<int>(settings.dist.nproc_per_node);
        }
        return request.started_by.launcher == dist::Launcher::kNone
                   ? automatic_rank_count(settings.run.device, settings.batch.lanes, nnodes)
                   : request.started_by.place.local_size;
    });
    request.launch_words = launch_words_of(line);
    if (request.launch.nnodes == 1) {
        // Without a number a new run has as many lanes as ranks; where an older run has more, these
        // counts are valid too.
        const std::int64_t lanes =
            settings.batch.lanes > 0 ? settings.batch.lanes : request.launch.nproc_per_node;
        for (const std::int64_t valid : dist::valid_rank_counts(lanes)) {
            request.launch.valid_rank_counts.push_back(static_cast<int>(valid));
        }
    }
    const config::Source source = request.resolved.source_of("dist.nproc_per_node");
    const bool is_explicit = request.launch.nnodes > 1 || source == config::Source::kCommandLine ||
                             source == config::Source::kEnvironment;
    request.must_start_ranks =
        must_start_ranks(request.launch.world_size(), is_explicit, request.started_by);
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
    print_command_help("", train_options());
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
        config::parse_command_line(&config::option_table(), train_options(), arguments));
    TrainRequest request;
    request.help = line.has("help");
    if (request.help) {
        return request;
    }
    if (!line.positional.empty()) {
        fail_usage(fmt::format("train takes options only, found '{}'", line.positional.front()));
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
    if (!request.list_checkpoints) {
        read_launch(request, line);
    }
    return request;
}

}  // namespace holdfast::cli
