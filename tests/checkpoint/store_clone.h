// A run directory copied for a sweep: the immutable files by hard links, so that thousands of
// copies cost names and no bytes; the lock file anew, so that copies can be locked apart.
#pragma once

#include <filesystem>
#include <string>

#include "checkpoint/checkpoint_name.h"

namespace holdfast::checkpoint {

// `to` is replaced. A `from` that does not exist leaves none.
inline void clone_store(const std::string& from, const std::string& to) {
    namespace stdfs = std::filesystem;
    stdfs::remove_all(to);
    if (!stdfs::exists(from)) {
        return;
    }
    stdfs::create_directory(to);
    for (const auto& entry : stdfs::recursive_directory_iterator(from)) {
        const stdfs::path target = to / entry.path().lexically_relative(from);
        if (entry.is_symlink()) {
            stdfs::copy_symlink(entry.path(), target);
        } else if (entry.is_directory()) {
            stdfs::create_directory(target);
        } else if (entry.path().filename() == kLockName) {
            stdfs::copy_file(entry.path(), target);
        } else {
            stdfs::create_hard_link(entry.path(), target);
        }
    }
}

}  // namespace holdfast::checkpoint
