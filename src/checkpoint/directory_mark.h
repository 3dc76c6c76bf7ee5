// By what a run knows its directory again, and whether one that is gone may be made anew.
//
// A directory that was deleted is made again where it was: its disk is there. One whose disk was
// unmounted, or that was replaced by something else, is not: what was written there would vanish
// under the next mount, or mix with what belongs to somebody else.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "checkpoint/run_lock.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct DirectoryMark {
    std::uint64_t device = 0;  // of the disk the run is on
    std::uint64_t inode = 0;   // of the directory, or of the symlink that stands for it
};

// The mark of a run directory just opened and locked.
base::Result<DirectoryMark> mark_directory(fs::FileSystem& file_system,
                                           const RunPaths& paths,
                                           const RunLock& lock);

// For a run whose lock file is no longer the one it holds. kOk: the directory, or all that was in
// it, was deleted, and the disk is there. kBusy: it was unmounted or replaced. Changes nothing.
base::Status may_make_again(fs::FileSystem& file_system,
                            const RunPaths& paths,
                            const DirectoryMark& mark);

}  // namespace holdfast::checkpoint
