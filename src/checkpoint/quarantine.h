// Damaged entries are moved aside, never deleted on sight: quarantine/<pool>-<name>, newest 3 kept.
#pragma once

#include <string>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

inline constexpr std::size_t kQuarantineKept = 3;

// Moves `entry` into quarantine and fsyncs both parents; answers the new path. Beyond three, the
// ones that came first go (the names carry a rising number). On failure the entry
// is where it was.
base::Result<std::string> quarantine_entry(fs::FileSystem& file_system,
                                           const RunPaths& paths,
                                           const Entry& entry);

}  // namespace holdfast::checkpoint
