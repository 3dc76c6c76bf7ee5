#include "cli/disk_check.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "base/words.h"
#include "checkpoint/pending_save.h"
#include "cli/command.h"

namespace holdfast::cli {

namespace {

using base::bytes_in_words;
using checkpoint::BackupPlace;
using checkpoint::DiskNeed;

// Multiples of `interval` in (from, to]; none when it is 0, which is off.
std::int64_t multiples_between(std::int64_t from, std::int64_t to, std::int64_t interval) {
    return interval > 0 ? to / interval - from / interval : 0;
}

// What the disks of a run say of themselves.
struct Disks {
    BackupPlace backup_place = BackupPlace::kRunDisk;  // if there are backups
    base::Result<fs::SpaceStatus> run;
    base::Result<fs::SpaceStatus> backup;
};

// The folder of the second copies is made with the first of them: until then the disk is that of
// the nearest folder above it.
std::string nearest_existing(fs::FileSystem& file_system, std::string path) {
    while (true) {
        const base::Result<bool> there = fs::exists(file_system, path);
        const std::string above = fs::parent_of(path);
        if (!there.ok() || there.value() || above == path) {
            return path;
        }
        path = above;
    }
}

Disks look_at_disks(fs::FileSystem& file_system, const checkpoint::RunPaths& paths) {
    const std::string backup_directory = nearest_existing(file_system, paths.backup_directory);
    const base::Result<fs::FileStatus> run = file_system.status(paths.directory);
    const base::Result<fs::FileStatus> backup = file_system.status(backup_directory);
    const bool is_other = run.ok() && backup.ok() && run.value().device != backup.value().device;
    return {is_other ? BackupPlace::kOtherDisk : BackupPlace::kRunDisk,
            file_system.space(paths.directory),
            file_system.space(backup_directory)};
}

bool wants_backup(const std::string& asked,
                  const checkpoint::Catalog& catalog,
                  const checkpoint::SpacePlan& plan,
                  const Disks& disks) {
    if (asked != "auto") {
        return asked == "on";
    }
    return disks.backup.ok() &&
           checkpoint::backup_fits(
               catalog, plan, disks.backup_place, disks.backup.value().available_bytes);
}

std::string in_words(const DiskNeed& need, const base::Result<fs::SpaceStatus>& space) {
    return fmt::format(
        "{} needed for the whole run ({}){}, {}",
        bytes_in_words(need.bytes),
        need.in_words(),
        need.present_bytes > 0 ? fmt::format(", {} there", bytes_in_words(need.present_bytes)) : "",
        space.ok() ? bytes_in_words(space.value().available_bytes) + " free"
                   : "free space unknown: " + space.error().what);
}

void tell_backup(bool is_on,
                 const std::string& asked,
                 const std::string& directory,
                 const DiskNeed& need,
                 const Disks& disks) {
    if (is_on) {
        base::log_info("backup  on: second copies in {}{}",
                       directory,
                       disks.backup_place == BackupPlace::kOtherDisk
                           ? ", " + in_words(need, disks.backup)
                           : "");
    } else if (asked == "off") {
        base::log_info("backup  off");
    } else if (!disks.backup.ok()) {
        base::log_info("backup  off: {}", disks.backup.error().what);
    } else {
        base::log_info(
            "backup  off: not enough room: needs {}{} and {} to spare, {} is free",
            bytes_in_words(need.to_come_bytes),
            disks.backup_place == BackupPlace::kRunDisk ? " with the rest of the run" : "",
            bytes_in_words(checkpoint::kSpaceMarginBytes),
            bytes_in_words(disks.backup.value().available_bytes));
    }
}

// Warns, or ends the program, when the disk is short.
void judge(const DiskNeed& need,
           const base::Result<fs::SpaceStatus>& space,
           const std::string& directory,
           const config::Settings& settings,
           const std::string& advice) {
    if (!space.ok() || need.missing_bytes(space.value().available_bytes) == 0) {
        return;
    }
    const std::string what = fmt::format(
        "the disk of {} is too small for the whole run: it needs {} and {} to spare, {} is free; "
        "{}",
        directory,
        bytes_in_words(need.to_come_bytes),
        bytes_in_words(checkpoint::kSpaceMarginBytes),
        bytes_in_words(space.value().available_bytes),
        advice);
    if (settings.checkpoint.on_disk_short == "refuse") {
        throw base::Failure(base::ExitCode::kFailed,
                            what + " (checkpoint.on_disk_short is refuse: nothing was trained)");
    }
    base::log_warning("{}", what);
}

// What would make the run fit on its disk.
std::string advice_for(const DiskNeed& need,
                       const base::Result<fs::SpaceStatus>& space,
                       const checkpoint::SpacePlan& plan) {
    const std::string elsewhere = "or choose another --checkpoint-dir";
    if (need.present_bytes >= need.bytes) {
        // What is missing is room for the next save, which no limit changes.
        return fmt::format("delete something, {}", elsewhere);
    }
    const std::uint64_t missing =
        need.missing_bytes(space.ok() ? space.value().available_bytes : 0);
    const std::uint64_t each = std::max<std::uint64_t>(plan.checkpoint_bytes, 1);
    const std::uint64_t count = missing / each + (missing % each > 0 ? 1 : 0);
    const auto rolling = static_cast<std::uint64_t>(need.parts.front().count);
    // Two are the fewest that may be kept.
    if (rolling >= 2 && count <= rolling - 2) {
        return fmt::format("--keep-checkpoints {} would fit, {}", rolling - count, elsewhere);
    }
    return fmt::format(
        "each checkpoint takes {}: lower --keep-checkpoints and --keep-emergency-checkpoints, {}",
        bytes_in_words(plan.checkpoint_bytes),
        elsewhere);
}

}  // namespace

checkpoint::SavesToCome saves_to_come(const config::Settings& settings, const RunLength& length) {
    const std::int64_t from = length.from_step;
    const std::int64_t to = length.total_steps;
    const std::int64_t sequences = settings.batch.batch_tokens / settings.model.block_size;
    const std::int64_t windows = length.windows_per_epoch;
    checkpoint::SavesToCome to_come;
    // One may come before the first step and one after the last, whatever the interval; of an
    // interval in time nobody knows more than that no step is saved twice.
    const checkpoint::SaveInterval& interval = settings.checkpoint.interval;
    to_come.rolling = 2 + multiples_between(from, to, interval.seconds > 0 ? 1 : interval.steps);
    if (!settings.data.val.empty()) {
        to_come.best = multiples_between(from, to, settings.train.eval_interval) + 1;
    }
    to_come.epochs = to * sequences / windows - from * sequences / windows;
    to_come.kept = multiples_between(from, to, settings.checkpoint.keep_every);
    return to_come;
}

std::uint64_t checkpoint_bytes(state::Snapshot& snapshot) {
    // Two moments for each weight, and the count, whichever ranks hold them.
    std::vector<checkpoint::TensorInfo> model;
    std::vector<checkpoint::TensorInfo> optimizer = {{"update_count", "I64", {}}};
    for (const state::TensorBytes& tensor : snapshot.model_tensors()) {
        model.push_back({tensor.name, tensor.dtype, tensor.shape});
        optimizer.push_back({"m." + tensor.name, tensor.dtype, tensor.shape});
        optimizer.push_back({"v." + tensor.name, tensor.dtype, tensor.shape});
    }
    return value_or_fail(checkpoint::tensor_file_bytes(model)) +
           value_or_fail(checkpoint::tensor_file_bytes(optimizer));
}

namespace {

// Without second copies.
checkpoint::SpacePlan plan_of(const config::Settings& settings,
                              const RunLength& length,
                              std::uint64_t bytes_each) {
    return {.checkpoint_bytes = bytes_each,
            .limits = checkpoint::RetentionLimits::of(settings.checkpoint),
            .to_come = saves_to_come(settings, length),
            .backup = BackupPlace::kNone};
}

}  // namespace

bool keeps_second_copies(const checkpoint::RunDirectory& run,
                         const config::Settings& settings,
                         const RunLength& length,
                         std::uint64_t bytes_each) {
    return wants_backup(settings.checkpoint.backup,
                        run.scan(),
                        plan_of(settings, length, bytes_each),
                        look_at_disks(run.file_system(), run.paths()));
}

bool check_disk(const checkpoint::RunDirectory& run,
                const config::Settings& settings,
                const RunLength& length,
                std::uint64_t bytes_each) {
    const checkpoint::RunPaths& paths = run.paths();
    const checkpoint::Catalog catalog = run.scan();
    const Disks disks = look_at_disks(run.file_system(), paths);
    const checkpoint::SpacePlan plan = plan_of(settings, length, bytes_each);
    const bool is_on = wants_backup(settings.checkpoint.backup, catalog, plan, disks);
    checkpoint::SpacePlan with_backup = plan;
    with_backup.backup = disks.backup_place;
    const checkpoint::SpaceNeed backed_up = checkpoint::plan_space(catalog, with_backup);
    const checkpoint::SpaceNeed need = is_on ? backed_up : checkpoint::plan_space(catalog, plan);
    base::log_info("disk    {}", in_words(need.run, disks.run));
    tell_backup(is_on,
                settings.checkpoint.backup,
                paths.backup_directory,
                disks.backup_place == BackupPlace::kOtherDisk ? backed_up.backup : backed_up.run,
                disks);
    judge(need.run, disks.run, paths.directory, settings, advice_for(need.run, disks.run, plan));
    if (!need.backup.parts.empty()) {
        judge(need.backup,
              disks.backup,
              paths.backup_directory,
              settings,
              "choose another --backup-dir, or --backup off");
    }
    return is_on;
}

}  // namespace holdfast::cli
