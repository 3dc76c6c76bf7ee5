// Choosing and loading a checkpoint is one flow: an entry counts as found only when every byte of
// it has been loaded and verified.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/reader.h"
#include "checkpoint/resume_request.h"
#include "checkpoint/run_directory.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// Loads through `reader` (Reader::load verifies). kInvalid is the caller's own, ends the search and
// is told as it is; after any other error it may be called again with the next candidate.
using LoadFunction = std::function<base::Status(const Entry& entry, Reader& reader)>;

// An entry that was passed over.
struct Fallback {
    std::string label;  // "rolling/step_00000500"
    std::string why;
    std::int64_t lineage = 1;
    std::int64_t step = 0;  // -1 unknown
    std::string moved_to;   // quarantine path; empty when it was left where it is
};

struct ResumedFrom {
    Entry entry;
    std::vector<Fallback> fallbacks;
    // Damaged entries that are whole again and lost ones that are back, one line each.
    std::vector<std::string> repairs;
    // Steps between the newest entry passed over and the one loaded.
    std::int64_t steps_lost = 0;
    // False: rollback. Publish the loaded state anew (ancestry.h begin_lineage, lineage below)
    // before the first step.
    bool is_head = true;
    std::int64_t next_lineage = 2;
};

// Candidates of `request` in `opened`, newest first. A damaged one is repaired from another real
// copy where there is one (repair.h) and no step is lost; else it is quarantined and told in the
// log ("fell back from A (why) to B, N steps lost"). Entries known to be damaged without a look at
// their bytes are treated so with them on auto and latest. What only a backup holds is copied back
// first; `backup` itself always begins a lineage. kNotFound: no such checkpoint; kCorrupt: damaged
// beyond fallback. The run lock is held by `opened`, and nothing else writes to the run.
base::Result<ResumedFrom> resume_load(const OpenedRun& opened,
                                      const ResumeRequest& request,
                                      const LoadFunction& load);

// What may be read at `path`, newest first: a checkpoint alone, or the line of a run directory.
// kNotFound when it is neither, or nothing usable is there.
base::Result<std::vector<Entry>> candidates_at(fs::FileSystem& file_system,
                                               const std::string& path);

// The same for readers that change nothing: `path` is a checkpoint or a run directory (then its
// newest valid). Damaged entries are told and left.
base::Result<ResumedFrom> load_newest(fs::FileSystem& file_system,
                                      const std::string& path,
                                      const LoadFunction& load);

}  // namespace holdfast::checkpoint
