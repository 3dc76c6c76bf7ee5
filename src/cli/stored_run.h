// A run directory as the commands that look at it from outside see it. Reads only, takes no lock.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/catalog.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::cli {

struct PutAside {
    checkpoint::Entry entry;
    std::string label;   // "quarantine/000007_rolling_step_00000500"
    std::string reason;  // written down when it was put aside; empty: cannot be read
};

struct StoredRun {
    std::string directory;  // as given
    checkpoint::RunPaths paths;
    std::string run_id;  // of run.json, else of the newest checkpoint; empty: neither can be read
    checkpoint::Catalog catalog;
    std::vector<PutAside> quarantine;  // oldest first, then those of the second copies
    std::vector<std::string> notes;    // what a person must know, one line each
};

// The run in `directory`, its backup folder where run.json says. Ends the command with one line and
// exit code 3 when there is none, or nothing is in it.
StoredRun look_at_run(fs::FileSystem& file_system, const std::string& directory);

// Whether `path` is one checkpoint rather than a run directory.
bool is_checkpoint(fs::FileSystem& file_system, const std::string& path);

// The checkpoint at `path` (a symlink such as `<run>/latest` resolved), or those of the run there,
// newest first; at least one. Ends the command likewise.
std::vector<checkpoint::Entry> readable_checkpoints(fs::FileSystem& file_system,
                                                    const std::string& path);

}  // namespace holdfast::cli
