#include "checkpoint/transfer_buffers.h"

#include <cstring>

#include <sys/mman.h>

namespace holdfast::checkpoint {

AlignedBuffer::AlignedBuffer(std::uint64_t bytes)
    : memory_(static_cast<std::byte*>(::operator new(bytes, kAlignment))), bytes_(bytes) {
    // A hint: without it the buffer does the same, more slowly. The kernel pins and maps a huge
    // page at once where it would take 512 small ones.
    static_cast<void>(::madvise(memory_.get(), bytes, MADV_HUGEPAGE));
}

TransferBuffers::TransferBuffers()
    : buffers_{AlignedBuffer(kBufferBytes), AlignedBuffer(kBufferBytes)} {
    for (const AlignedBuffer& buffer : buffers_) {
        // Touched now, so that no save pays for the page faults.
        std::memset(buffer.bytes().data(), 0, buffer.bytes().size());
    }
}

}  // namespace holdfast::checkpoint
