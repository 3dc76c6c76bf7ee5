#include "checkpoint/publish.h"

#include <vector>

#include <fmt/format.h>

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::int64_t kSuffixMax = 10'000;

// A pool folder that somebody removed is made again; all exist from the start of a run.
Status ensure_pool(fs::FileSystem& file_system, const RunPaths& paths, Pool pool) {
    const std::string path = paths.pool(pool);
    const Result<bool> there = fs::exists(file_system, path);
    if (!there.ok()) {
        return there.error();
    }
    return there.value() ? Status{} : file_system.make_directory(path);
}

Status sync_both(fs::FileSystem& file_system, const std::string& a, const std::string& b) {
    const Status first = file_system.sync_directory(a);
    return first.ok() ? file_system.sync_directory(b) : first;
}

}  // namespace

Result<std::string> make_pending_directory(fs::FileSystem& file_system,
                                           const RunPaths& paths,
                                           Pool pool,
                                           const std::string& save_id) {
    std::string path = fs::join(paths.pending_root(pool), pending_name(save_id));
    const Status made = file_system.make_directory(path);
    if (!made.ok()) {
        return made.error();
    }
    return path;
}

Result<CheckpointName> publish_directory(fs::FileSystem& file_system,
                                         const RunPaths& paths,
                                         const std::string& pending_path,
                                         Pool pool,
                                         CheckpointName wanted) {
    if (const Status there = ensure_pool(file_system, paths, pool); !there.ok()) {
        return there.error();
    }
    for (; wanted.suffix <= kSuffixMax; ++wanted.suffix) {
        const std::string path = fs::join(paths.pool(pool), to_string(wanted));
        const Status renamed = file_system.rename(pending_path, path, fs::RenameMode::kNoReplace);
        if (!renamed.ok() && renamed.error().kind == ErrorKind::kExists) {
            continue;
        }
        if (!renamed.ok()) {
            return renamed.error();
        }
        const Status synced = sync_both(file_system, paths.pool(pool), paths.pending_root(pool));
        if (synced.ok()) {
            return wanted;
        }
        const Status back = file_system.rename(path, pending_path, fs::RenameMode::kNoReplace);
        return synced.error().within(back.ok() ? "publishing"
                                               : fmt::format("publishing ({} stays)", path));
    }
    return Error{ErrorKind::kExists,
                 fmt::format("{} and {} names after it are taken",
                             fs::join(paths.pool(pool), to_string(wanted)),
                             kSuffixMax),
                 0};
}

Status remove_tree(fs::FileSystem& file_system, const std::string& path) {
    const Result<fs::FileStatus> status = file_system.status(path);
    if (!status.ok()) {
        return status.error().kind == ErrorKind::kNotFound ? Status{} : Status(status.error());
    }
    if (status.value().type != fs::EntryType::kDirectory) {
        return file_system.remove_file(path);
    }
    const Result<std::vector<std::string>> names = file_system.list(path);
    if (!names.ok()) {
        return names.error();
    }
    for (const std::string& name : names.value()) {
        const Status removed = remove_tree(file_system, fs::join(path, name));
        if (!removed.ok()) {
            return removed;
        }
    }
    return file_system.remove_directory(path);
}

}  // namespace holdfast::checkpoint
