// Which directory a run lives in, decided before anything is changed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/resume_request.h"
#include "checkpoint/run_identity.h"
#include "checkpoint/run_paths.h"
#include "checkpoint/run_view.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct RunChoice {
    RunView view;
    bool fresh = true;               // a new run starts here: run.json is (re)written
    std::vector<std::string> notes;  // one line each
    std::optional<Entry> chosen;     // kPath naming a checkpoint
    bool chosen_is_external = false;
};

// The rules of --resume. `differences` and `wanted` as in OpenRunOptions. kNotFound when a request
// that must find something does not.
base::Result<RunChoice> choose_run(fs::FileSystem& file_system,
                                   const ResumeRequest& request,
                                   const RunPaths& wanted,
                                   const IdentityDifferences& differences,
                                   std::int64_t now_utc_seconds);

}  // namespace holdfast::checkpoint
