#include "checkpoint/reclaim.h"

#include <iterator>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "checkpoint/pool_link.h"
#include "checkpoint/publish.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

void ReclaimReport::merge(ReclaimReport other) {
    const auto append = [](std::vector<std::string>& to, std::vector<std::string>& from) {
        to.insert(
            to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
    };
    append(deleted, other.deleted);
    append(completed, other.completed);
    append(failures, other.failures);
    freed_bytes += other.freed_bytes;
    held_bytes += other.held_bytes;
}

namespace {

// Unlinks one file and sees to it that a link really went.
Status remove_and_confirm(fs::FileSystem& file_system,
                          const std::string& path,
                          ReclaimReport& report) {
    // Open across the unlink: only so can the link count be asked for afterwards.
    Result<std::unique_ptr<fs::File>> file = file_system.open(path, fs::OpenOptions{});
    Result<fs::FileStatus> before = file.ok() ? file.value()->status() : file_system.status(path);
    if (Status removed = file_system.remove_file(path); !removed.ok()) {
        // Somebody was faster: what counts is that it is gone.
        return removed.error().kind == ErrorKind::kNotFound ? Status{} : removed;
    }
    const Result<bool> there = fs::exists(file_system, path);
    if (there.ok() && there.value()) {
        return Error{ErrorKind::kIo, fmt::format("{} is still there after its removal", path), 0};
    }
    if (!before.ok()) {
        return Status{};
    }
    const Result<fs::FileStatus> after = file.ok() ? file.value()->status() : before;
    if (file.ok() && after.ok() && after.value().link_count + 1 != before.value().link_count) {
        return Error{
            ErrorKind::kIo,
            fmt::format("{} went, but the file still has {} names", path, after.value().link_count),
            0};
    }
    const bool was_last = before.value().link_count <= 1;
    (was_last ? report.freed_bytes : report.held_bytes) += before.value().allocated_bytes;
    return Status{};
}

}  // namespace

Reclaimer::Reclaimer(fs::FileSystem& file_system, RunPaths paths)
    : file_system_(file_system), paths_(std::move(paths)) {}

Status Reclaimer::move_to_trash(const std::string& folder,
                                const std::string& name,
                                const std::string& trash,
                                std::string& trash_path) {
    const Result<bool> there = fs::exists(file_system_, trash);
    if (!there.ok()) {
        return there.error();
    }
    if (!there.value()) {
        if (Status made = file_system_.make_directory(trash); !made.ok()) {
            return made;
        }
    }
    trash_path = fs::join(trash, make_save_id());
    Status moved =
        file_system_.rename(fs::join(folder, name), trash_path, fs::RenameMode::kNoReplace);
    // Unlinking before the rename is durable could bring back, after a power cut, half an entry
    // under its old name.
    for (const std::string& parent : {folder, trash}) {
        if (moved.ok()) {
            moved = file_system_.sync_directory(parent);
        }
    }
    return moved;
}

void Reclaimer::remove_from(const std::string& folder,
                            const std::string& name,
                            const std::string& trash,
                            const std::string& label,
                            ReclaimReport& report) {
    std::string trash_path;
    const Status moved = move_to_trash(folder, name, trash, trash_path);
    if (!moved.ok()) {
        report.failures.push_back(fmt::format("deleting {}: {}", label, moved.error().what));
        return;
    }
    report.deleted.push_back(label);
    remove(trash_path, report);
}

void Reclaimer::remove(const std::string& path, ReclaimReport& report) {
    const Result<fs::FileStatus> there = file_system_.status(path);
    Status status = there.ok() ? Status{} : Status(there.error());
    if (there.ok() && there.value().type == fs::EntryType::kDirectory) {
        const Result<std::vector<std::string>> names = file_system_.list(path);
        const std::size_t failures_before = report.failures.size();
        // One file that stays is no reason to leave the others.
        for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
            remove(fs::join(path, name), report);
        }
        if (!names.ok()) {
            status = names.error();
        } else if (report.failures.size() == failures_before) {
            status = file_system_.remove_directory(path);
        }
    } else if (there.ok() && there.value().type == fs::EntryType::kFile) {
        status = remove_and_confirm(file_system_, path, report);
    } else if (there.ok()) {
        // A symlink goes, never what it points at.
        status = file_system_.remove_file(path);
    }
    if (!status.ok() && status.error().kind != ErrorKind::kNotFound) {
        report.failures.push_back(status.error().what);
    }
}

ReclaimReport Reclaimer::execute(const std::vector<Deletion>& deletions) {
    ReclaimReport report;
    for (const Deletion& deletion : deletions) {
        remove_from(paths_.pool(deletion.pool),
                    deletion.name,
                    paths_.trash(deletion.pool),
                    RunPaths::relative(deletion.pool, deletion.name),
                    report);
    }
    return report;
}

// How it came into the trash is not known: perhaps its rename was never made durable.
void Reclaimer::empty_trash(Pool side,
                            const std::vector<std::string>& names,
                            ReclaimReport& report) {
    for (const Pool pool : kAllPools) {
        if (is_backup(pool) != is_backup(side)) {
            continue;
        }
        const Status synced = file_system_.sync_directory(paths_.pool(pool));
        if (!synced.ok() && synced.error().kind != ErrorKind::kNotFound) {
            report.failures.push_back(synced.error().what);
            return;
        }
    }
    for (const std::string& name : names) {
        remove(fs::join(paths_.trash(side), name), report);
    }
}

ReclaimReport Reclaimer::clear_leftovers(std::string_view live_save_id, Pool side) {
    ReclaimReport report;
    const std::string root = paths_.pending_root(side);
    const Result<std::vector<std::string>> names = file_system_.list(root);
    const Result<std::vector<std::string>> trash = file_system_.list(paths_.trash(side));
    for (const auto* listed : {&names, &trash}) {
        // A folder that is not there has nothing to clear.
        if (!listed->ok() && listed->error().kind != ErrorKind::kNotFound) {
            report.failures.push_back(listed->error().what);
        }
    }
    for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
        const auto save_id = parse_pending_name(name);
        if (save_id && *save_id != live_save_id) {
            remove(fs::join(root, name), report);
        }
    }
    if (trash.ok() && !trash.value().empty()) {
        empty_trash(side, trash.value(), report);
    }
    return report;
}

ReclaimReport Reclaimer::clear_quarantine(Pool side) {
    ReclaimReport report;
    const std::string folder = paths_.quarantine(side);
    const Result<std::vector<std::string>> names = file_system_.list(folder);
    if (!names.ok() && names.error().kind != ErrorKind::kNotFound) {
        report.failures.push_back(names.error().what);
    }
    for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
        if (is_quarantine_name(name)) {
            remove_from(
                folder, name, paths_.trash(side), RunPaths::in_quarantine(side, name), report);
        }
    }
    return report;
}

ReclaimReport Reclaimer::clear_temporaries(Pool side) {
    ReclaimReport report;
    const std::string folder = paths_.pending_root(side);
    const Result<std::vector<std::string>> names = file_system_.list(folder);
    if (!names.ok() && names.error().kind != ErrorKind::kNotFound) {
        report.failures.push_back(names.error().what);
    }
    for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
        if (is_temporary_name(name)) {
            const Status removed = remove_and_confirm(file_system_, fs::join(folder, name), report);
            if (!removed.ok()) {
                report.failures.push_back(removed.error().what);
            }
        }
    }
    return report;
}

ReclaimReport Reclaimer::complete_owed(const Catalog& catalog, TransferBuffers& buffers) {
    ReclaimReport report;
    for (const Entry& entry : catalog.entries) {
        if (!entry.usable()) {
            continue;
        }
        for (const Pool pool : outstanding_pools(entry, catalog)) {
            const Result<PublishedCheckpoint> joined =
                link_into(file_system_, paths_, entry.path, entry.manifest, pool, buffers);
            if (joined.ok()) {
                report.completed.push_back(RunPaths::relative(pool, joined.value().name));
            } else {
                report.failures.push_back(joined.error().what);
            }
        }
    }
    return report;
}

}  // namespace holdfast::checkpoint
