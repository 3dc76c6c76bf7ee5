// A file read chunk by chunk, from the device where that is possible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "checkpoint/manifest.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

class ChunkFile {
public:
    // `from_device`: O_DIRECT where it works, else the cache is dropped first (a hint only).
    static base::Result<ChunkFile> open(fs::FileSystem& file_system,
                                        const std::string& path,
                                        bool from_device);

    // The bytes [offset, offset + bytes), somewhere in `buffer` (aligned, at least kChunkBytes +
    // 2 * kDirectAlignment; bytes <= kChunkBytes). kCorrupt when the file ends before. Several
    // threads may read at once, each with its own buffer.
    base::Result<std::span<const std::byte>> read(std::uint64_t offset,
                                                  std::uint64_t bytes,
                                                  std::span<std::byte> buffer) const;

    // read() of a recorded chunk and the comparison with its checksum: kCorrupt names the range.
    base::Result<std::span<const std::byte>> read_verified(std::uint64_t offset,
                                                           const ChunkRecord& chunk,
                                                           std::span<std::byte> buffer) const;

    // The same chunk straight into `parts`, which are as long as it together: one copy less. After
    // an error they are zeros, so that no wrong byte is handed on. Only where source() is kCache:
    // the device wants its own alignment.
    base::Status read_verified_into(std::uint64_t offset,
                                    const ChunkRecord& chunk,
                                    std::span<const std::span<std::byte>> parts) const;

    [[nodiscard]] Readback source() const {
        return direct_ != nullptr ? Readback::kDevice : Readback::kCache;
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] fs::File& file() const { return *buffered_; }

private:
    ChunkFile(std::string path,
              std::unique_ptr<fs::File> buffered,
              std::unique_ptr<fs::File> direct);
    base::Result<std::uint64_t> read_and_sum(std::uint64_t offset,
                                             std::uint64_t bytes,
                                             std::span<const std::span<std::byte>> parts) const;

    std::string path_;
    std::unique_ptr<fs::File> buffered_;
    std::unique_ptr<fs::File> direct_;  // null: not asked for, or the file system refuses
};

}  // namespace holdfast::checkpoint
