#include "checkpoint/chunk_file.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Read, and still in the processor's cache when it is summed.
constexpr std::size_t kPieceBytes = 1U << 20U;

// Reads into `buffer` until it is full or the file ends; answers the bytes read.
Result<std::size_t> read_up_to(fs::File& file, std::span<std::byte> buffer, std::uint64_t offset) {
    std::size_t done = 0;
    int interruptions = 0;
    while (done < buffer.size()) {
        const Result<std::size_t> count = file.read_at(buffer.subspan(done), offset + done);
        if (!count.ok() && count.error().os_errno == EINTR &&
            ++interruptions < fs::kInterruptionsMax) {
            continue;
        }
        if (!count.ok()) {
            return count.error();
        }
        interruptions = 0;
        done += count.value();
        // A direct read that stops off the alignment has met the end of the file.
        if (count.value() == 0 || done % kDirectAlignment != 0) {
            break;
        }
    }
    return done;
}

Error other_bytes(const std::string& path,
                  std::uint64_t offset,
                  const ChunkRecord& chunk,
                  std::uint64_t found) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: bytes {} to {} are not the ones written (checksum {}, expected "
                             "{})",
                             path,
                             offset,
                             offset + chunk.bytes,
                             base::to_hex(found),
                             base::to_hex(chunk.checksum)),
                 0};
}

}  // namespace

ChunkFile::ChunkFile(std::string path,
                     std::unique_ptr<fs::File> buffered,
                     std::unique_ptr<fs::File> direct)
    : path_(std::move(path)), buffered_(std::move(buffered)), direct_(std::move(direct)) {}

Result<ChunkFile> ChunkFile::open(fs::FileSystem& file_system,
                                  const std::string& path,
                                  bool from_device) {
    Result<std::unique_ptr<fs::File>> buffered = file_system.open(path, fs::OpenOptions{});
    if (!buffered.ok()) {
        return buffered.error();
    }
    std::unique_ptr<fs::File> direct;
    if (from_device) {
        Result<std::unique_ptr<fs::File>> opened =
            file_system.open(path, fs::OpenOptions{.direct = true});
        std::array<std::byte, 2 * kDirectAlignment> probe_memory{};
        const auto misalignment =
            reinterpret_cast<std::uintptr_t>(probe_memory.data()) % kDirectAlignment;
        const std::span probe =
            std::span(probe_memory)
                .subspan((kDirectAlignment - misalignment) % kDirectAlignment, kDirectAlignment);
        // Some file systems take the flag and refuse the read: asked once, here.
        if (opened.ok() && read_up_to(*opened.value(), probe, 0).ok()) {
            direct = std::move(opened).value();
        } else {
            // A hint: the bytes are compared either way, and source() says where they came from.
            static_cast<void>(buffered.value()->drop_cache().ok());
        }
    }
    return ChunkFile(path, std::move(buffered).value(), std::move(direct));
}

Result<std::span<const std::byte>> ChunkFile::read(std::uint64_t offset,
                                                   std::uint64_t bytes,
                                                   std::span<std::byte> buffer) const {
    HF_CHECK(bytes <= kChunkBytes && buffer.size() >= kChunkBytes + 2 * kDirectAlignment,
             "a read of {} bytes through a buffer of {}",
             bytes,
             buffer.size());
    if (direct_ == nullptr) {
        const Status read = fs::read_exactly(*buffered_, buffer.first(bytes), offset, path_);
        if (!read.ok()) {
            return read.error();
        }
        return std::span<const std::byte>(buffer.first(bytes));
    }
    const std::uint64_t before = offset % kDirectAlignment;
    const std::uint64_t wanted = before + bytes;
    const std::uint64_t rounded =
        (wanted + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
    const Result<std::size_t> done = read_up_to(*direct_, buffer.first(rounded), offset - before);
    if (!done.ok()) {
        return done.error();
    }
    if (done.value() < wanted) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} ends at byte {}, {} were expected",
                                 path_,
                                 offset - before + done.value(),
                                 offset + bytes),
                     0};
    }
    return std::span<const std::byte>(buffer.subspan(before, bytes));
}

Result<std::span<const std::byte>> ChunkFile::read_verified(std::uint64_t offset,
                                                            const ChunkRecord& chunk,
                                                            std::span<std::byte> buffer) const {
    Result<std::span<const std::byte>> bytes = read(offset, chunk.bytes, buffer);
    if (!bytes.ok()) {
        return bytes;
    }
    const std::uint64_t found = base::checksum64(bytes.value());
    if (found != chunk.checksum) {
        return other_bytes(path_, offset, chunk, found);
    }
    return bytes;
}

Status ChunkFile::read_verified_into(std::uint64_t offset,
                                     const ChunkRecord& chunk,
                                     std::span<const std::span<std::byte>> parts) const {
    HF_CHECK(direct_ == nullptr, "a direct read wants aligned memory");
    const Result<std::uint64_t> found = read_and_sum(offset, chunk.bytes, parts);
    if (found.ok() && found.value() == chunk.checksum) {
        return Status{};
    }
    for (const std::span<std::byte> part : parts) {
        std::fill(part.begin(), part.end(), std::byte{0});
    }
    return found.ok() ? other_bytes(path_, offset, chunk, found.value()) : found.error();
}

Result<std::uint64_t> ChunkFile::read_and_sum(std::uint64_t offset,
                                              std::uint64_t bytes,
                                              std::span<const std::span<std::byte>> parts) const {
    base::StreamingChecksum checksum;
    std::uint64_t done = 0;
    for (std::span<std::byte> part : parts) {
        while (!part.empty()) {
            const std::span<std::byte> piece = part.first(std::min(kPieceBytes, part.size()));
            const Status read = fs::read_exactly(*buffered_, piece, offset + done, path_);
            if (!read.ok()) {
                return read.error();
            }
            checksum.update(piece);
            done += piece.size();
            part = part.subspan(piece.size());
        }
    }
    HF_CHECK(done == bytes, "parts of {} bytes for a chunk of {}", done, bytes);
    return checksum.digest64();
}

}  // namespace holdfast::checkpoint
