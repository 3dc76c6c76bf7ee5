// CPU memory that is kept: blocks that tensors give back wait by size for the next tensor of that
// size.
//
// libtorch's own CPU allocator returns large blocks to the system, so every operation that makes a
// result pays for fresh pages (a clone of 500 MB: 0.7 s, against 0.02 s into touched memory). A
// training step asks for the same sizes again and again: once it has run, nothing comes from the
// system (but a block now and then for operations whose threads allocate at the same time, as often
// as more of them than ever before do).
//
// A size class is at most 1/8 larger than what was asked. Blocks are aligned to 64 bytes; blocks of
// 2 MiB and more start just behind a 2 MiB boundary and ask for huge pages. Each block keeps its
// class in a header before the data, so DataPtr's context is the data pointer, as libtorch's raw
// interface wants it. Thread-safe; blocking: a mutex, and the system when it is asked. When the
// system refuses, what waits is given back and it is asked once more; then c10::OutOfMemoryError.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include <c10/core/Allocator.h>

namespace holdfast::kernels {

struct CpuMemoryStatistics {
    std::int64_t held_bytes = 0;          // from the system, in use or waiting, headers included
    std::int64_t in_use_bytes = 0;        // of blocks that tensors have
    std::int64_t system_allocations = 0;  // how often the system was asked
};

class CachingCpuAllocator final : public c10::Allocator {
public:
    CachingCpuAllocator() = default;
    // Gives back what waits. No block of it may be in use.
    ~CachingCpuAllocator() override;
    CachingCpuAllocator(const CachingCpuAllocator&) = delete;
    CachingCpuAllocator& operator=(const CachingCpuAllocator&) = delete;
    CachingCpuAllocator(CachingCpuAllocator&&) = delete;
    CachingCpuAllocator& operator=(CachingCpuAllocator&&) = delete;

    c10::DataPtr allocate(std::size_t bytes) override;
    [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override;
    void copy_data(void* to, const void* from, std::size_t bytes) const override;

    [[nodiscard]] CpuMemoryStatistics statistics() const;
    // Returns the waiting blocks to the system.
    void release_waiting();

private:
    struct Block;
    static constexpr std::size_t kClassCount = 1200;

    static void release(void* data);
    Block* take(std::size_t size_class);
    Block* from_system(std::size_t size_class);
    void put_back(Block* block);
    void free_waiting();  // under the lock

    mutable std::mutex mutex_;
    std::array<Block*, kClassCount> waiting_{};
    CpuMemoryStatistics statistics_;
};

// Makes one such allocator libtorch's for CPU tensors, for the rest of the process; later calls
// give the same one. Call it before the first tensor that should profit.
CachingCpuAllocator& install_caching_cpu_allocator();

}  // namespace holdfast::kernels
