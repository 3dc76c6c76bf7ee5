// Where second copies lie, and whose they are.
//
// A backup root on another disk is known by `backup.json` in it, the identity of its run. It is
// claimed once, when a run begins to make copies; from then on a root without that file, or with
// another run's, is not the one claimed (the disk is not mounted, or was exchanged), and nothing
// in it is touched. Blocks on the disk; the thread that owns the root.
#pragma once

#include <string>

#include "base/result.h"
#include "checkpoint/run_identity.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// Makes the root and its folders and marks them as this run's. kInvalid, with nothing changed: it
// holds the copies of another run, or is a run directory. kIo, kNoSpace: the disk refuses.
base::Status claim_backup_root(fs::FileSystem& file_system,
                               const RunPaths& paths,
                               const RunIdentity& identity);

// kNotFound: nobody has claimed it. kInvalid: another run has. kCorrupt: the mark is damaged.
base::Status check_backup_root(fs::FileSystem& file_system,
                               const RunPaths& paths,
                               const std::string& run_id);

}  // namespace holdfast::checkpoint
