#include "cli/run_opening.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/command.h"
#include "config/option_table.h"
#include "config/resolve.h"
#include "config/settings_change.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {

using base::ExitCode;
using base::Failure;

namespace {

std::vector<std::string> identity_differences(const checkpoint::RunIdentity& stored,
                                              const TrainRequest& request,
                                              const std::string& data_fingerprint) {
    std::vector<std::string> differences;
    const auto settings = config::settings_from_json(stored.config, "run.json");
    if (!settings.ok()) {
        return {settings.error().what};
    }
    const auto is_allowed = [&](std::string_view key) {
        for (const std::string& name : request.allowed_changes) {
            const auto option = config::option_table().find_by_name(name);
            if (option.ok() && option.value()->key == key) {
                return true;
            }
        }
        return false;
    };
    for (const config::SettingsChange& change :
         config::find_changes(settings.value(), request.resolved.settings)) {
        // Where the data lies may change; what it holds is compared below.
        const bool is_place = change.key == "data.train" || change.key == "data.val";
        if (change.rule == config::ChangeRule::kFree || is_place || is_allowed(change.key)) {
            continue;
        }
        differences.push_back(fmt::format(
            "{} is {}, asked for {}{}",
            change.key,
            change.stored,
            change.requested,
            change.rule == config::ChangeRule::kMathematics
                ? fmt::format("; --allow-change {0} lets this run change it", change.key)
                : ""));
    }
    if (stored.data_fingerprint != data_fingerprint && !is_allowed("data.train")) {
        differences.push_back(fmt::format("the data is other data (fingerprint {}, asked for {})",
                                          stored.data_fingerprint,
                                          data_fingerprint));
    }
    return differences;
}

}  // namespace

checkpoint::OpenedRun open_run_or_fail(const TrainRequest& request,
                                       const config::Settings& settings,
                                       const std::string& data_fingerprint,
                                       checkpoint::TransferBuffers& buffers) {
    checkpoint::OpenRunOptions options;
    options.resume = request.resume;
    options.directory = settings.checkpoint.dir;
    options.backup_dir = settings.checkpoint.backup_dir;
    options.identity.config = config::to_canonical_json(settings);
    options.identity.data_fingerprint = data_fingerprint;
    options.identity.lanes = settings.batch.lanes;
    options.differences = [&](const checkpoint::RunIdentity& stored) {
        return identity_differences(stored, request, data_fingerprint);
    };
    options.allow_unlocked = request.allow_unlocked;
    options.now_utc_seconds = base::utc_seconds_now();
    base::Result<checkpoint::OpenedRun> result =
        checkpoint::open_run(fs::real_file_system(), options, buffers);
    if (!result.ok() && result.error().kind == base::ErrorKind::kNoSpace) {
        throw Failure(ExitCode::kNotDurable,
                      fmt::format("{}: make room there, or choose another --checkpoint-dir",
                                  result.error().what));
    }
    checkpoint::OpenedRun opened = value_or_fail(std::move(result));
    for (const std::string& note : opened.notes) {
        base::log_warning("{}", note);
    }
    return opened;
}

// The stored settings with the changes asked for, which become the run's.
config::Settings settings_of_resumed(checkpoint::RunDirectory& run,
                                     const TrainRequest& request,
                                     const std::string& data_fingerprint) {
    const checkpoint::RunIdentity& identity = run.identity();
    const config::Settings stored =
        value_or_fail(config::settings_from_json(identity.config, "run.json"));
    config::Settings requested = request.resolved.settings;
    // Where a run lies is not a setting of it: directories may be moved.
    requested.checkpoint.dir = stored.checkpoint.dir;
    config::ResumeSettings resumed =
        value_or_fail(config::settings_for_resume(stored, requested, request.allowed_changes));
    bool is_changed = identity.data_fingerprint != data_fingerprint;
    for (const config::SettingsChange& change : resumed.changes) {
        base::log_info("changed {}: {} was {}", change.key, change.requested, change.stored);
        is_changed = is_changed || change.rule != config::ChangeRule::kFree;
    }
    if (is_changed) {
        const base::Status recorded =
            run.record_change(config::to_canonical_json(resumed.settings), data_fingerprint);
        if (!recorded.ok()) {
            fail(recorded.error().within("recording the changed settings"));
        }
    }
    return resumed.settings;
}

}  // namespace holdfast::cli
