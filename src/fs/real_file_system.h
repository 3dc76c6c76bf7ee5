// The seam over Linux system calls, interrupted ones made again (restarting_file_system.h).
#pragma once

#include "fs/file_system.h"

namespace holdfast::fs {

// Stateless; every descriptor is O_CLOEXEC. Lives as long as the process.
FileSystem& real_file_system();

}  // namespace holdfast::fs
