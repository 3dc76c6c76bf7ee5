// `--nproc-per-node N`: this process starts the ranks and watches them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "dist/launch_config.h"

namespace holdfast::cli {

// Runs the ranks, each as `holdfast words...`, to their end; the exit code of all.
base::ExitCode start_ranks(const dist::LaunchConfig& launch, const std::vector<std::string>& words);

}  // namespace holdfast::cli
