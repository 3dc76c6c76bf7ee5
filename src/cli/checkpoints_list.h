// The table of a run's checkpoints, for people and as JSON.
#pragma once

#include <string>

#include "base/error.h"

namespace holdfast::cli {

// Prints what `run_directory` holds on stdout: latest and best first, then pool by pool with step,
// validation loss, size, when it was saved, and the free space of the disk. Reads only. Throws
// base::Failure (3) when there is no run.
base::ExitCode list_checkpoints(const std::string& run_directory, bool as_json);

}  // namespace holdfast::cli
