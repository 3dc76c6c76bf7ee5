// What the system has given this process: one call, some microseconds, any thread.
#pragma once

#include <cstdint>

namespace holdfast::base {

struct ProcessUsage {
    // The most memory that was ever resident, files mapped and read included.
    std::uint64_t peak_resident_bytes = 0;
    // Pages the kernel had to find since the process began, without reading a disk: a process that
    // asks for no new memory has no more of them.
    std::int64_t page_faults = 0;
};

// getrusage(2), all threads of the process.
ProcessUsage process_usage();

}  // namespace holdfast::base
