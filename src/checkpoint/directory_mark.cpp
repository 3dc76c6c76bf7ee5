#include "checkpoint/directory_mark.h"

#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// The status, nothing when there is none.
Result<std::optional<fs::FileStatus>> look_at(fs::FileSystem& file_system,
                                              const std::string& path) {
    const Result<fs::FileStatus> status = file_system.status(path);
    if (status.ok()) {
        return std::optional(status.value());
    }
    return status.error().kind == ErrorKind::kNotFound
               ? Result<std::optional<fs::FileStatus>>(std::optional<fs::FileStatus>())
               : status.error();
}

Error not_ours(const RunPaths& paths, std::string_view what) {
    return Error{
        ErrorKind::kBusy, fmt::format("{} {}: nothing is written there", paths.directory, what), 0};
}

}  // namespace

Result<DirectoryMark> mark_directory(fs::FileSystem& file_system,
                                     const RunPaths& paths,
                                     const RunLock& lock) {
    const Result<fs::FileStatus> status = file_system.status(paths.directory);
    if (!status.ok()) {
        return status.error();
    }
    return DirectoryMark{lock.device(), status.value().inode};
}

Status may_make_again(fs::FileSystem& file_system,
                      const RunPaths& paths,
                      const DirectoryMark& mark) {
    const auto lock_file = look_at(file_system, paths.in_run(kLockName));
    if (!lock_file.ok()) {
        return lock_file.error();
    }
    if (lock_file.value()) {
        return not_ours(paths, "was replaced by another directory with a lock of its own");
    }
    std::string place = paths.directory;
    while (true) {
        const auto found = look_at(file_system, place);
        if (!found.ok()) {
            return found.error();
        }
        if (found.value()) {
            if (place == paths.directory && found.value()->inode != mark.inode) {
                return not_ours(paths, "was replaced by another directory, or its disk is gone");
            }
            break;
        }
        const std::string above = fs::parent_of(place);
        if (above == place) {
            break;
        }
        place = above;
    }
    // "/." looks through a symlink: what counts is the disk that it leads to.
    const Result<fs::FileStatus> disk = file_system.status(place + "/.");
    if (!disk.ok()) {
        return disk.error();
    }
    if (disk.value().device != mark.device) {
        return not_ours(paths, "is not on the disk it was on (unmounted?)");
    }
    return Status{};
}

}  // namespace holdfast::checkpoint
