// `train --nproc-per-node N`: this process starts the ranks and watches them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/train_request.h"
#include "dist/launch_environment.h"

namespace holdfast::cli {

// True when the command line asks for several ranks and nobody has started them yet. Throws
// base::Failure (usage) when another launcher has, with other words on the command line.
bool must_start_ranks(const TrainRequest& request, const dist::LaunchEnvironment& launch);

// Runs the ranks, each with `arguments` after the word "train", to their end; the exit code of all.
base::ExitCode start_ranks(const TrainRequest& request, const std::vector<std::string>& arguments);

}  // namespace holdfast::cli
