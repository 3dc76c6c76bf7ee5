#include "checkpoint/piece_writer.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "checkpoint/chunk_file.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

Error invalid(std::string what) {
    return Error{ErrorKind::kInvalid, std::move(what), 0};
}

// By offset, without the empty ones.
void put_in_order(std::vector<PieceSource>& pieces) {
    std::erase_if(pieces, [](const PieceSource& piece) { return piece.bytes.empty(); });
    std::sort(pieces.begin(), pieces.end(), [](const PieceSource& a, const PieceSource& b) {
        return a.offset < b.offset;
    });
}

Status check_places(const std::string& path,
                    const std::vector<PieceSource>& pieces,
                    std::uint64_t file_bytes) {
    std::uint64_t next = 0;
    for (const PieceSource& piece : pieces) {
        if (piece.offset > file_bytes || piece.bytes.size() > file_bytes - piece.offset) {
            return invalid(fmt::format("{} bytes at {} of {} are beyond its end at {}",
                                       piece.bytes.size(),
                                       piece.offset,
                                       path,
                                       file_bytes));
        }
        if (piece.offset < next) {
            return invalid(fmt::format("two pieces of {} overlap at byte {}; the first ends at {}",
                                       path,
                                       piece.offset,
                                       next));
        }
        next = piece.offset + piece.bytes.size();
    }
    return Status{};
}

Result<PieceRecord> write_piece(fs::File& file, const PieceSource& piece) {
    PieceRecord record{.file_name = {}, .offset = piece.offset, .chunks = {}};
    std::uint64_t offset = piece.offset;
    for (std::span<const std::byte> left = piece.bytes; !left.empty();) {
        const auto chunk = left.first(std::min<std::size_t>(left.size(), kChunkBytes));
        record.chunks.push_back({chunk.size(), base::checksum64(chunk)});
        if (const Status written = fs::write_all(file, chunk, offset); !written.ok()) {
            return written.error();
        }
        offset += chunk.size();
        left = left.subspan(chunk.size());
    }
    return record;
}

Result<std::vector<PieceRecord>> write_once(fs::FileSystem& file_system,
                                            const std::string& path,
                                            const std::vector<PieceSource>& pieces) {
    Result<std::unique_ptr<fs::File>> opened =
        file_system.open(path, {.mode = fs::OpenMode::kWriteOnly});
    if (!opened.ok()) {
        return opened.error();
    }
    fs::File& file = *opened.value();
    const Result<fs::FileStatus> status = file.status();
    if (!status.ok()) {
        return status.error();
    }
    if (const Status placed = check_places(path, pieces, status.value().bytes); !placed.ok()) {
        return placed.error();
    }
    std::vector<PieceRecord> records;
    for (const PieceSource& piece : pieces) {
        Result<PieceRecord> record = write_piece(file, piece);
        if (!record.ok()) {
            return record.error();
        }
        records.push_back(std::move(record).value());
    }
    if (const Status synced = file.sync(); !synced.ok()) {
        return synced.error();
    }
    // A hint: what is on the disk need not push other pages out of memory.
    static_cast<void>(file.drop_cache().ok());
    if (const Status closed = file.close(); !closed.ok()) {
        return closed.error();
    }
    return records;
}

// O_DIRECT may be used here: it only reads, and what it reads besides, up to the alignment, is not
// looked at.
Result<Readback> read_back(fs::FileSystem& file_system,
                           const std::string& path,
                           const std::vector<PieceRecord>& pieces,
                           TransferBuffers& buffers) {
    const Result<ChunkFile> file = ChunkFile::open(file_system, path, true);
    if (!file.ok()) {
        return file.error();
    }
    for (const PieceRecord& piece : pieces) {
        std::uint64_t offset = piece.offset;
        for (const ChunkRecord& chunk : piece.chunks) {
            const auto bytes = file.value().read_verified(offset, chunk, buffers[0]);
            if (!bytes.ok()) {
                return bytes.error().within("reading back what was just written");
            }
            offset += chunk.bytes;
        }
    }
    return file.value().source();
}

}  // namespace

Result<VerifiedPieces> write_verified_pieces(fs::FileSystem& file_system,
                                             const std::string& directory,
                                             const std::string& file_name,
                                             std::vector<PieceSource> pieces,
                                             TransferBuffers& buffers) {
    put_in_order(pieces);
    const std::string path = fs::join(directory, file_name);
    const double begin_seconds = base::monotonic_seconds();
    Result<std::vector<PieceRecord>> written = write_once(file_system, path, pieces);
    if (!written.ok() && written.error().os_errno == EINTR) {
        written = write_once(file_system, path, pieces);
    }
    if (!written.ok()) {
        return written.error().within(fmt::format("writing pieces of {}", path));
    }
    const double written_seconds = base::monotonic_seconds();
    VerifiedPieces verified{.pieces = std::move(written).value(), .seconds = {}};
    for (PieceRecord& piece : verified.pieces) {
        piece.file_name = file_name;
    }
    const Result<Readback> readback = read_back(file_system, path, verified.pieces, buffers);
    if (!readback.ok()) {
        return readback.error();
    }
    verified.readback = readback.value();
    verified.seconds = {written_seconds - begin_seconds,
                        base::monotonic_seconds() - written_seconds};
    return verified;
}

}  // namespace holdfast::checkpoint
