#include "checkpoint/transfer_buffers.h"

#include <cstring>
#include <new>

#include "checkpoint/manifest.h"

namespace holdfast::checkpoint {

AlignedBuffer::AlignedBuffer(std::uint64_t bytes)
    : memory_(static_cast<std::byte*>(std::aligned_alloc(kDirectAlignment, bytes))), bytes_(bytes) {
    if (memory_ == nullptr) {
        throw std::bad_alloc();
    }
}

// A chunk that begins and ends anywhere is read with its neighbours up to the alignment.
TransferBuffers::TransferBuffers()
    : buffers_{AlignedBuffer(kChunkBytes + 2 * kDirectAlignment),
               AlignedBuffer(kChunkBytes + 2 * kDirectAlignment)} {
    for (const AlignedBuffer& buffer : buffers_) {
        // Touched now, so that no save pays for the page faults.
        std::memset(buffer.bytes().data(), 0, buffer.bytes().size());
    }
}

}  // namespace holdfast::checkpoint
