// Two aligned 16 MiB buffers through which every byte of a save goes. Made once by the saver and
// reused: fresh memory costs more in page faults than the copy itself. One thread's stream at a
// time; must outlive what borrows it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "checkpoint/manifest.h"

namespace holdfast::checkpoint {

inline constexpr std::uint64_t kDirectAlignment = 4096;

// Memory aligned for O_DIRECT, not touched here; on huge pages where the system gives them, which
// the disk reads and writes faster (docs/performance.md). Throws std::bad_alloc.
class AlignedBuffer {
public:
    explicit AlignedBuffer(std::uint64_t bytes);
    [[nodiscard]] std::span<std::byte> bytes() const { return {memory_.get(), bytes_}; }

private:
    static constexpr std::align_val_t kAlignment{2ULL << 20U};  // of a huge page
    static_assert(static_cast<std::size_t>(kAlignment) % kDirectAlignment == 0);

    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, kAlignment); }
    };
    std::unique_ptr<std::byte, Free> memory_;
    std::uint64_t bytes_;
};

class TransferBuffers {
public:
    // A chunk that begins and ends anywhere is read with its neighbours up to the alignment.
    static constexpr std::uint64_t kBufferBytes = kChunkBytes + 2 * kDirectAlignment;
    static constexpr std::uint64_t kBytes = 2 * kBufferBytes;

    TransferBuffers();
    [[nodiscard]] std::span<std::byte> operator[](std::size_t index) const {
        return buffers_.at(index).bytes();
    }

private:
    std::array<AlignedBuffer, 2> buffers_;
};

}  // namespace holdfast::checkpoint
