// A rank that is told what to do, from its data to the end of the run.
#pragma once

#include <c10/core/Device.h>

#include "base/error.h"
#include "cli/rank_session.h"
#include "train/run_data.h"

namespace holdfast::cli {

// Follows rank 0 until it ends the run; the exit code it gave. `data` is open and checked. Throws
// base::Failure as train::follow() does.
base::ExitCode follow_run(RankSession& ranks, const train::RunData& data, c10::Device device);

}  // namespace holdfast::cli
