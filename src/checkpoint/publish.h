// The two movements every change of the store is made of: a pending directory becomes an entry, and
// a directory that must not be seen any more is removed.
#pragma once

#include <string>

#include "base/result.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// Makes and syncs nothing but the directory `<root>/.pending-<save id>`; answers its path.
base::Result<std::string> make_pending_directory(fs::FileSystem& file_system,
                                                 const RunPaths& paths,
                                                 Pool pool,
                                                 const std::string& save_id);

// Renames `pending_path` (complete and synced) into the pool under `wanted`, or with the next free
// suffix, then fsyncs the pool and the parent of the pending directory; answers the name taken.
// When an fsync fails the entry is renamed back and the error told.
base::Result<CheckpointName> publish_directory(fs::FileSystem& file_system,
                                               const RunPaths& paths,
                                               const std::string& pending_path,
                                               Pool pool,
                                               CheckpointName wanted);

// Removes a directory with all in it (symlinks as such). Absent is success. The first error ends
// it; what is left can be removed by calling again.
base::Status remove_tree(fs::FileSystem& file_system, const std::string& path);

}  // namespace holdfast::checkpoint
