#include "checkpoint/block_read.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>

#include "checkpoint/manifest.h"
#include "checkpoint/transfer_buffers.h"

namespace holdfast::checkpoint {

using base::Status;

namespace {

Status read_block(const Block& block) {
    std::uint64_t done = 0;
    while (done < block.bytes.size()) {
        const auto count = block.file->read_at(block.bytes.subspan(done), block.offset + done);
        if (!count.ok() && count.error().os_errno != EINTR) {
            return count.error();
        }
        // A transfer that stops off the alignment has met the end of the file.
        if (count.ok() && (count.value() == 0 || count.value() % kDirectAlignment != 0)) {
            break;
        }
        done += count.ok() ? count.value() : 0;
    }
    return Status{};
}

}  // namespace

Status read_blocks(const std::vector<Block>& blocks, int thread_count) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    Status outcome;
    const auto work = [&] {
        for (std::size_t i = next++; i < blocks.size(); i = next++) {
            if (Status read = read_block(blocks[i]); !read.ok()) {
                const std::scoped_lock lock(mutex);
                outcome = read;
                next = blocks.size();
            }
        }
    };
    std::vector<std::jthread> threads;
    for (int i = 1; i < thread_count; ++i) {
        threads.emplace_back(work);
    }
    work();
    threads.clear();
    return outcome;
}

void add_blocks(fs::File& file, std::span<std::byte> memory, std::vector<Block>& blocks) {
    for (std::uint64_t offset = 0; offset < memory.size(); offset += kChunkBytes) {
        blocks.push_back(
            {&file, offset, memory.subspan(offset, std::min(kChunkBytes, memory.size() - offset))});
    }
}

}  // namespace holdfast::checkpoint
