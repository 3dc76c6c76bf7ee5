// What a directory is, looked at without touching it.
#pragma once

#include <optional>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/run_identity.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct RunView {
    RunPaths paths;
    bool exists = false;
    std::optional<RunIdentity> identity;  // of run.json, else as the newest manifest tells it
    bool rebuilt = false;                 // run.json was missing or damaged
    // Any entry of this run, damaged and quarantined ones included. Second copies count when they
    // lie inside.
    bool published = false;
    // Of the pools looked at: the run's, and second copies where they lie inside.
    Catalog catalog;
};

// kInvalid when the path is a file, or a non-empty directory of something else; kIo when the system
// refuses.
base::Result<RunView> view_run(fs::FileSystem& file_system, const RunPaths& paths);

}  // namespace holdfast::checkpoint
