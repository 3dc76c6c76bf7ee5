#include "checkpoint/backup_root.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/catalog.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

std::string mark_path(const RunPaths& paths) {
    return fs::join(paths.backup_directory, std::string(kBackupMarkName));
}

Error of_another_run(const RunPaths& paths) {
    return Error{ErrorKind::kInvalid,
                 fmt::format("{} holds the second copies of another run: it is left alone and this "
                             "run makes none; give it another --backup-dir",
                             paths.backup_directory),
                 0};
}

// Whether an unmarked root may become this run's.
Status check_unclaimed(fs::FileSystem& file_system,
                       const RunPaths& paths,
                       const std::string& run_id) {
    const Result<bool> is_run =
        fs::exists(file_system, fs::join(paths.backup_directory, std::string(kRunFileName)));
    if (!is_run.ok()) {
        return is_run.error();
    }
    if (is_run.value()) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} is a run directory, second copies cannot lie in it: choose "
                                 "another --backup-dir",
                                 paths.backup_directory),
                     0};
    }
    const Catalog catalog = scan_pools(file_system, paths, run_id, kBackupPools);
    if (!catalog.unreadable.empty()) {
        return Error{ErrorKind::kIo, catalog.unreadable.front(), 0};
    }
    const bool is_foreign =
        std::any_of(catalog.entries.begin(), catalog.entries.end(), [](const Entry& entry) {
            return entry.state == EntryState::kForeign;
        });
    return is_foreign ? of_another_run(paths) : Status{};
}

Status make_folders(fs::FileSystem& file_system, const RunPaths& paths) {
    // Inside, the run directory is there or must not be made by way of its copies.
    if (!paths.backup_is_inside()) {
        if (Status made = fs::make_directories(file_system, paths.backup_directory); !made.ok()) {
            return made;
        }
    }
    for (const std::string& folder : {paths.backup_directory,
                                      paths.pool(Pool::kBackupRolling),
                                      paths.pool(Pool::kBackupBest),
                                      paths.trash(Pool::kBackupRolling)}) {
        const Status made = file_system.make_directory(folder);
        if (!made.ok() && made.error().kind != ErrorKind::kExists) {
            return made;
        }
    }
    return file_system.sync_directory(fs::parent_of(paths.backup_directory));
}

}  // namespace

Status check_backup_root(fs::FileSystem& file_system,
                         const RunPaths& paths,
                         const std::string& run_id) {
    const Result<std::string> text =
        fs::read_file(file_system, mark_path(paths), kManifestBytesMax);
    if (!text.ok() && text.error().kind == ErrorKind::kNotFound) {
        return Error{ErrorKind::kNotFound,
                     fmt::format("{} is not where this run's second copies are (it has no {}): is "
                                 "the disk mounted? nothing is written there",
                                 paths.backup_directory,
                                 kBackupMarkName),
                     0};
    }
    if (!text.ok()) {
        return text.error();
    }
    const Result<RunIdentity> owner = parse_run_identity(text.value());
    if (!owner.ok()) {
        return owner.error().within(mark_path(paths));
    }
    return owner.value().run_id == run_id ? Status{} : of_another_run(paths);
}

Status claim_backup_root(fs::FileSystem& file_system,
                         const RunPaths& paths,
                         const RunIdentity& identity) {
    const Status marked = check_backup_root(file_system, paths, identity.run_id);
    const bool is_unclaimed = !marked.ok() && (marked.error().kind == ErrorKind::kNotFound ||
                                               marked.error().kind == ErrorKind::kCorrupt);
    if (!marked.ok() && !is_unclaimed) {
        return marked;
    }
    if (is_unclaimed) {
        if (Status free = check_unclaimed(file_system, paths, identity.run_id); !free.ok()) {
            return free;
        }
    }
    if (Status made = make_folders(file_system, paths); !made.ok() || marked.ok()) {
        return made;
    }
    const Result<std::string> text = print_run_identity(identity);
    return text.ok() ? fs::replace_file(file_system, mark_path(paths), text.value())
                     : Status(text.error());
}

}  // namespace holdfast::checkpoint
