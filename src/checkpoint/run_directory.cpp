#include "checkpoint/run_directory.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "checkpoint/pool_link.h"
#include "checkpoint/run_choice.h"
#include "checkpoint/space_relief.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

RunDirectory::RunDirectory(fs::FileSystem& file_system,
                           RunPaths paths,
                           RunIdentity identity,
                           RunLock lock,
                           DirectoryMark mark,
                           bool allow_unlocked)
    : file_system_(&file_system),
      paths_(std::move(paths)),
      identity_(std::move(identity)),
      lock_(std::move(lock)),
      mark_(mark),
      allow_unlocked_(allow_unlocked) {}

Catalog RunDirectory::scan() const {
    return scan_pools(*file_system_, paths_, identity_.run_id);
}

Result<PendingSave> RunDirectory::begin_save(const std::string& save_id,
                                             std::uint64_t bytes_expected,
                                             TransferBuffers& buffers) const {
    if (const Status held = lock_.still_held(); !held.ok()) {
        return held.error();
    }
    return PendingSave::open(*file_system_, paths_, save_id, bytes_expected, buffers);
}

Result<PublishedCheckpoint> RunDirectory::publish(PendingSave save,
                                                  Pool pool,
                                                  TransferBuffers& buffers) const {
    if (const Status held = lock_.still_held(); !held.ok()) {
        return held.error();
    }
    Result<PublishedCheckpoint> published = std::move(save).publish(pool);
    if (!published.ok()) {
        return published;
    }
    const PublishedCheckpoint& checkpoint = published.value();
    for (const Pool owed : checkpoint.manifest.owed) {
        if (owed == pool) {
            continue;
        }
        const Result<PublishedCheckpoint> joined =
            link_into(*file_system_, paths_, checkpoint.path, checkpoint.manifest, owed, buffers);
        if (!joined.ok()) {
            base::log_warning("{} (tried again later)", joined.error().what);
        }
    }
    const Status pointed = update_latest(*file_system_, paths_, pool, checkpoint.name);
    if (!pointed.ok()) {
        base::log_warning("{} (a hint only: the checkpoint is safe)", pointed.error().what);
    }
    return published;
}

Result<PublishedCheckpoint> RunDirectory::link(const PublishedCheckpoint& checkpoint,
                                               Pool pool,
                                               TransferBuffers& buffers) const {
    if (const Status held = lock_.still_held(); !held.ok()) {
        return held.error();
    }
    return link_into(*file_system_, paths_, checkpoint.path, checkpoint.manifest, pool, buffers);
}

ReclaimReport RunDirectory::tidy(const RetentionLimits& limits, TransferBuffers& buffers) const {
    if (const Status held = lock_.still_held(); !held.ok()) {
        ReclaimReport report;
        report.failures.push_back(held.error().what);
        return report;
    }
    const auto own_pools = [this] {
        return scan_pools(*file_system_, paths_, identity_.run_id, kRunPools);
    };
    Reclaimer reclaimer(*file_system_, paths_);
    ReclaimReport report = reclaimer.complete_owed(own_pools(), buffers);
    report.merge(reclaimer.clear_leftovers());
    const Catalog catalog = own_pools();
    for (const std::string& pool : catalog.unreadable) {
        report.failures.push_back(pool);
    }
    report.merge(reclaimer.execute(plan_deletions(catalog, limits)));
    return report;
}

namespace {

bool is_among(const Entry& entry, const std::vector<Deletion>& deletions) {
    return std::any_of(deletions.begin(), deletions.end(), [&](const Deletion& deletion) {
        return deletion.pool == entry.pool && deletion.name == entry.name;
    });
}

}  // namespace

RoomReport RunDirectory::make_room(std::uint64_t bytes_wanted) const {
    RoomReport room;
    if (const Status held = lock_.still_held(); !held.ok()) {
        room.reclaimed.failures.push_back(held.error().what);
        return room;
    }
    // Where the space cannot be asked for, all of it is taken to be missing.
    const Result<fs::SpaceStatus> space = file_system_->space(paths_.directory);
    const std::uint64_t available = space.ok() ? space.value().available_bytes : 0;
    const std::uint64_t missing =
        available < bytes_wanted ? bytes_wanted - available : bytes_wanted;
    Reclaimer reclaimer(*file_system_, paths_);
    room.reclaimed = reclaimer.clear_leftovers();
    Catalog catalog = scan();
    while (room.reclaimed.freed_bytes < missing) {
        std::vector<Deletion> deletions;
        for (Relief& relief : plan_relief(catalog, missing - room.reclaimed.freed_bytes).reliefs) {
            deletions.push_back(std::move(relief.deletion));
        }
        if (deletions.empty()) {
            break;
        }
        room.reclaimed.merge(reclaimer.execute(deletions));
        // Each is tried once: one that will not go must not keep the others from going.
        std::erase_if(catalog.entries,
                      [&](const Entry& entry) { return is_among(entry, deletions); });
    }
    room.is_enough = room.reclaimed.freed_bytes >= missing;
    return room;
}

Status update_latest(fs::FileSystem& file_system,
                     const RunPaths& paths,
                     Pool pool,
                     std::string_view name) {
    const std::string link = paths.in_run(kLatestName);
    const std::string temporary = link + ".new";
    Status status = file_system.remove_file(temporary);
    if (status.ok() || status.error().kind == ErrorKind::kNotFound) {
        status = file_system.make_symlink(RunPaths::relative(pool, name), temporary);
    }
    if (status.ok()) {
        status = file_system.rename(temporary, link, fs::RenameMode::kReplace);
    }
    return status.ok() ? file_system.sync_directory(paths.directory) : status;
}

namespace {

// mkdir unless it is there.
Status ensure_directory(fs::FileSystem& file_system, const std::string& path) {
    Status made = file_system.make_directory(path);
    return !made.ok() && made.error().kind == ErrorKind::kExists ? Status{} : made;
}

// All folders of a run, durable with their names. Those of second copies on another disk are made
// by who writes them: that disk may be missing, or another run's.
Status make_layout(fs::FileSystem& file_system, const RunPaths& paths) {
    if (Status made = fs::make_directories(file_system, paths.directory); !made.ok()) {
        return made;
    }
    std::vector<std::string> folders{
        paths.in_run(kQuarantineName), paths.in_run(kTensorboardName), paths.trash(Pool::kRolling)};
    for (const Pool pool : kRunPools) {
        folders.push_back(paths.pool(pool));
    }
    std::vector<std::string> parents;
    if (paths.backup_is_inside()) {
        folders.insert(folders.end(),
                       {paths.backup_directory,
                        paths.pool(Pool::kBackupRolling),
                        paths.pool(Pool::kBackupBest),
                        paths.trash(Pool::kBackupRolling)});
        parents.push_back(paths.backup_directory);
    }
    parents.insert(parents.end(), {paths.directory, fs::parent_of(paths.directory)});
    for (const std::string& folder : folders) {
        if (Status made = ensure_directory(file_system, folder); !made.ok()) {
            return made;
        }
    }
    // Also when all were there: whoever made them may have died before this.
    for (const std::string& parent : parents) {
        if (Status synced = file_system.sync_directory(parent); !synced.ok()) {
            return synced;
        }
    }
    return Status{};
}

Status write_identity(fs::FileSystem& file_system,
                      const RunPaths& paths,
                      const RunIdentity& identity) {
    const Result<std::string> text = print_run_identity(identity);
    if (!text.ok()) {
        return text.error();
    }
    return fs::replace_file(file_system, paths.in_run(kRunFileName), text.value());
}

// Between looking and locking somebody else may have begun a run here. Answers the second look.
Result<RunView> unchanged_since(fs::FileSystem& file_system, const RunView& before) {
    Result<RunView> now = view_run(file_system, before.paths);
    if (!now.ok()) {
        return now;
    }
    const bool same_run = !now.value().identity || !before.identity ||
                          now.value().identity->run_id == before.identity->run_id;
    if (now.value().published != before.published || !same_run) {
        return Error{
            ErrorKind::kBusy,
            fmt::format("{} changed while it was opened: start again", before.paths.directory),
            0};
    }
    return now;
}

// `seen` is what lies there, as the look under the lock found it.
void tidy_at_start(const RunDirectory& run, Catalog seen, TransferBuffers& buffers) {
    std::erase_if(seen.entries, [](const Entry& entry) { return is_backup(entry.pool); });
    Reclaimer reclaimer(run.file_system(), run.paths());
    ReclaimReport report = reclaimer.complete_owed(seen, buffers);
    report.merge(reclaimer.clear_leftovers());
    for (const std::string& label : report.completed) {
        base::log_info("{} was still owed and is there now", label);
    }
    for (const std::string& failure : report.failures) {
        base::log_warning("{} (tried again later)", failure);
    }
}

}  // namespace

Status RunDirectory::record_change(const std::string& config, const std::string& data_fingerprint) {
    if (Status held = lock_.still_held(); !held.ok()) {
        return held;
    }
    RunIdentity identity = identity_;
    identity.config = config;
    identity.data_fingerprint = data_fingerprint;
    Status written = write_identity(*file_system_, paths_, identity);
    if (written.ok()) {
        identity_ = std::move(identity);
    }
    return written;
}

Result<bool> RunDirectory::ensure_there() {
    if (lock_.still_held().ok()) {
        return false;
    }
    if (Status ours = may_make_again(*file_system_, paths_, mark_); !ours.ok()) {
        return ours.error();
    }
    const std::string context = fmt::format("making {} again, which was deleted", paths_.directory);
    if (const Status made = make_layout(*file_system_, paths_); !made.ok()) {
        return made.error().within(context);
    }
    Result<RunLock> lock = RunLock::take(*file_system_, paths_, allow_unlocked_);
    if (!lock.ok()) {
        return lock.error().within(context);
    }
    if (const Status written = write_identity(*file_system_, paths_, identity_); !written.ok()) {
        return written.error().within(context);
    }
    const Result<DirectoryMark> mark = mark_directory(*file_system_, paths_, lock.value());
    if (!mark.ok()) {
        return mark.error().within(context);
    }
    lock_ = std::move(lock).value();
    mark_ = mark.value();
    base::log_alarm("{} or its lock was deleted while this run was using it; it was made again",
                    paths_.directory);
    return true;
}

Result<OpenedRun> open_run(fs::FileSystem& file_system,
                           const OpenRunOptions& options,
                           TransferBuffers& buffers) {
    Result<RunChoice> chosen = choose_run(file_system,
                                          options.resume,
                                          RunPaths::of(options.directory, options.backup_dir),
                                          options.differences,
                                          options.now_utc_seconds);
    if (!chosen.ok()) {
        return chosen.error();
    }
    RunChoice& choice = chosen.value();
    const RunPaths& paths = choice.view.paths;
    const std::string context = fmt::format("opening the run directory {}", paths.directory);
    if (const Status made = make_layout(file_system, paths); !made.ok()) {
        return made.error().within(context);
    }
    Result<RunLock> lock = RunLock::take(file_system, paths, options.allow_unlocked);
    if (!lock.ok()) {
        return lock.error();
    }
    Result<RunView> locked_view = unchanged_since(file_system, choice.view);
    if (!locked_view.ok()) {
        return locked_view.error();
    }
    const bool is_new = !choice.view.identity.has_value();
    RunIdentity identity = is_new ? options.identity : *choice.view.identity;
    if (is_new) {
        identity.run_id = make_save_id();
        identity.created_utc_seconds = options.now_utc_seconds;
    }
    if (is_new || choice.view.rebuilt) {
        const Status written = write_identity(file_system, paths, identity);
        if (!written.ok()) {
            return written.error().within(context);
        }
    }
    const Result<DirectoryMark> mark = mark_directory(file_system, paths, lock.value());
    if (!mark.ok()) {
        return mark.error().within(context);
    }
    OpenedRun opened{
        .run = RunDirectory(file_system,
                            paths,
                            std::move(identity),
                            std::move(lock).value(),
                            mark.value(),
                            options.allow_unlocked),
        .fresh = choice.fresh,
        .notes = std::move(choice.notes),
        .chosen = std::move(choice.chosen),
        .chosen_is_external = choice.chosen_is_external,
    };
    // A look that knew no identity could not tell whose the entries are.
    const bool is_of_run = locked_view.value().identity &&
                           locked_view.value().identity->run_id == opened.run.identity().run_id;
    tidy_at_start(opened.run,
                  is_of_run ? std::move(locked_view.value().catalog) : opened.run.scan(),
                  buffers);
    return opened;
}

}  // namespace holdfast::checkpoint
