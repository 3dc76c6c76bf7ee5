// A CPU allocator that keeps what it got: after the first step no operation asks the system for
// memory again.
//
// Blocks are cut to size classes (powers of two with three steps between, 64 bytes and up), aligned
// to 64 bytes, and returned to a free list of their class instead of to the system. Blocks of 2 MiB
// and more lie on huge pages where the system gives them (madvise). A header of 64 bytes before
// each block holds its class, so the context of a DataPtr is the data pointer and raw_deleter
// works.
//
// Why not the default: page faults cost more than the arithmetic of a step (docs/performance.md).
// Thread use: any thread may allocate and free; one mutex, held for a list operation.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

struct AllocatorStatistics {
    std::int64_t held_bytes = 0;    // got from the system and never given back, headers included
    std::int64_t in_use_bytes = 0;  // of held_bytes, in blocks that somebody owns now
    std::int64_t peak_in_use_bytes = 0;   // highest in_use_bytes since reset_allocator_peak()
    std::int64_t system_block_count = 0;  // blocks that were got from the system, ever
};

// Makes the caching allocator the process's CPU allocator (c10::SetCPUAllocator). Call it once,
// early in main: tensors made before keep their own deleter and stay valid. A second call does
// nothing. Out of memory surfaces as c10::Error from the tensor operation, as with torch's own.
void install_caching_cpu_allocator();

// All zero before install_caching_cpu_allocator().
AllocatorStatistics allocator_statistics();
void reset_allocator_peak();

// Gives every free block back to the system; blocks in use are not touched.
void release_free_blocks();

}  // namespace holdfast::kernels
