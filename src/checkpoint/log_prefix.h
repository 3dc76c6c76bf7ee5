// At resume, metrics.jsonl goes back to what the checkpoint knew.
//
// The prefix is compared with the manifest; what follows it is copied to
// metrics.<lineage>-<save id>.jsonl, then cut. A crash at any point leaves a state from which the
// same call does the same. A log that does not match (edited, lost) is left alone and reported:
// never fatal. The caller holds the run lock. Blocks.
#pragma once

#include <cstdint>
#include <string>

#include "base/checksum.h"
#include "base/result.h"
#include "checkpoint/manifest.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct LogResume {
    bool matched = true;
    std::string problem;              // one line when not matched
    std::uint64_t bytes = 0;          // length of the log now
    base::StreamingChecksum running;  // over those bytes: the log goes on from here
    std::uint64_t cut_bytes = 0;
    std::string tail_path;  // where the cut lines are; empty when none
};

// Errors are kIo / kNoSpace only: the log could not be read, copied or cut.
base::Result<LogResume> resume_log(fs::FileSystem& file_system,
                                   const RunPaths& paths,
                                   const LogPrefix& prefix,
                                   const Identity& identity);

}  // namespace holdfast::checkpoint
