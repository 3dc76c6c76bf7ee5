// Damaged entries are moved aside, never deleted on sight: quarantine/<number>_<pool>_<name>,
// newest 3 kept. Why stands in a file `.why` in each. A damaged second copy goes to the quarantine
// of the backup root: a move does not cross disks.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

inline constexpr std::size_t kQuarantineKept = 3;

// Moves `entry` into quarantine, fsyncs both parents (a failed fsync is told, the entry is moved
// all the same) and writes `entry.why` down; answers the new path. Beyond three, the ones that came
// first go (the names carry a rising number). On failure the entry is where it was; that its reason
// could not be written is a warning.
base::Result<std::string> quarantine_entry(fs::FileSystem& file_system,
                                           const RunPaths& paths,
                                           const Entry& entry);

// What the names of the entries set aside in this run tell of them; step -1 where they do not.
base::Result<std::vector<Identity>> quarantined_identities(fs::FileSystem& file_system,
                                                           const RunPaths& paths);

// Whether anything was ever set aside in this run: then it was published, though no pool shows it.
base::Result<bool> holds_quarantined(fs::FileSystem& file_system, const RunPaths& paths);

}  // namespace holdfast::checkpoint
