// The command that goes on with a run, rebuilt from what its newest checkpoint says of its start.
#pragma once

#include <string>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::cli {

// One shell line. kNotFound when `run_directory` holds no readable checkpoint.
base::Result<std::string> resume_command_of(fs::FileSystem& file_system,
                                            const std::string& run_directory);

}  // namespace holdfast::cli
