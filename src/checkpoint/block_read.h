// Plain reading: stretches of files to their places in memory, by several threads, and nothing
// looked at. What a load is compared with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// A stretch of a file and its place. With a direct file all three are multiples of
// kDirectAlignment; the file may end before the stretch does.
struct Block {
    fs::File* file = nullptr;
    std::uint64_t offset = 0;
    std::span<std::byte> bytes;
};

// All of a file into `memory`, cut into blocks of kChunkBytes.
void add_blocks(fs::File& file, std::span<std::byte> memory, std::vector<Block>& blocks);

// Each thread takes the next block that is left. The first error stops all and is told. Blocks.
base::Status read_blocks(const std::vector<Block>& blocks, int thread_count);

}  // namespace holdfast::checkpoint
