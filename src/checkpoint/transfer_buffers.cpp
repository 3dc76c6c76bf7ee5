#include "checkpoint/transfer_buffers.h"

#include <cstring>
#include <new>

namespace holdfast::checkpoint {

AlignedBuffer::AlignedBuffer(std::uint64_t bytes)
    : memory_(static_cast<std::byte*>(std::aligned_alloc(kDirectAlignment, bytes))), bytes_(bytes) {
    if (memory_ == nullptr) {
        throw std::bad_alloc();
    }
}

TransferBuffers::TransferBuffers()
    : buffers_{AlignedBuffer(kBufferBytes), AlignedBuffer(kBufferBytes)} {
    for (const AlignedBuffer& buffer : buffers_) {
        // Touched now, so that no save pays for the page faults.
        std::memset(buffer.bytes().data(), 0, buffer.bytes().size());
    }
}

}  // namespace holdfast::checkpoint
