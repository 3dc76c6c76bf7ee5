// Where a process listens.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace holdfast::cli {

// The local addresses, as the kernel writes them (0100007F is 127.0.0.1), on which the process
// listens for TCP, in its own network.
std::vector<std::string> listening_addresses(pid_t pid);

}  // namespace holdfast::cli
