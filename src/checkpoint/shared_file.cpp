#include "checkpoint/shared_file.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "checkpoint/chunk_file.h"
#include "checkpoint/file_record_json.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Of a file that is being filled: its owner writes, and end() takes the right away.
constexpr std::uint32_t kBeingFilled = 0644;
constexpr std::uint32_t kWriteBits = 0222;

struct RankedPiece {
    std::int64_t rank = 0;
    const PieceRecord* piece = nullptr;
    std::uint64_t end = 0;
};

std::vector<RankedPiece> pieces_by_offset(const std::string& file_name,
                                          std::span<const PartRecord> parts) {
    std::vector<RankedPiece> pieces;
    for (const PartRecord& part : parts) {
        for (const PieceRecord& piece : part.pieces) {
            if (piece.file_name == file_name) {
                pieces.push_back({part.rank, &piece, piece.offset + chunks_bytes(piece.chunks)});
            }
        }
    }
    std::sort(pieces.begin(), pieces.end(), [](const RankedPiece& a, const RankedPiece& b) {
        return std::pair(a.piece->offset, a.rank) < std::pair(b.piece->offset, b.rank);
    });
    return pieces;
}

// "the header", "rank 3": what lies before a piece.
std::string before_in_words(const std::optional<std::int64_t>& rank) {
    return rank ? fmt::format("rank {}", *rank) : "the header";
}

}  // namespace

Result<std::vector<ChunkRecord>> tile_pieces(const std::string& file_name,
                                             ByteRange range,
                                             std::span<const PartRecord> parts) {
    std::vector<ChunkRecord> chunks;
    std::uint64_t next = range.begin;
    std::optional<std::int64_t> rank_before;
    for (const RankedPiece& ranked : pieces_by_offset(file_name, parts)) {
        const PieceRecord& piece = *ranked.piece;
        if (piece.offset != next) {
            return Error{
                ErrorKind::kCorrupt,
                fmt::format("{}: the piece of rank {} begins at byte {}, but {} ends at {}: "
                            "bytes are {}",
                            file_name,
                            ranked.rank,
                            piece.offset,
                            before_in_words(rank_before),
                            next,
                            piece.offset > next ? "missing" : "written twice"),
                0};
        }
        if (ranked.end > range.end) {
            return Error{
                ErrorKind::kCorrupt,
                fmt::format("{}: the piece of rank {} at byte {} ends at {}, the file at {}",
                            file_name,
                            ranked.rank,
                            piece.offset,
                            ranked.end,
                            range.end),
                0};
        }
        chunks.insert(chunks.end(), piece.chunks.begin(), piece.chunks.end());
        next = ranked.end;
        rank_before = ranked.rank;
    }
    if (next != range.end) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{}: {} ends at byte {}, the file at {}: bytes are missing",
                                 file_name,
                                 before_in_words(rank_before),
                                 next,
                                 range.end),
                     0};
    }
    return chunks;
}

Result<SharedFile> SharedFile::create(fs::FileSystem& file_system,
                                      const std::string& directory,
                                      const std::string& name,
                                      std::span<const TensorInfo> tensors,
                                      const SafetensorsMetadata& metadata) {
    const double begin_seconds = base::monotonic_seconds();
    Result<std::string> header = build_safetensors_header(tensors, metadata);
    Result<SafetensorsHeader> layout = lay_out_safetensors(tensors, metadata);
    if (!header.ok() || !layout.ok()) {
        return header.ok() ? layout.error() : header.error();
    }
    SharedFile shared(file_system, fs::join(directory, name), name);
    shared.header_ = std::move(header).value();
    shared.layout_ = std::move(layout).value();
    Result<std::unique_ptr<fs::File>> file = file_system.open(
        shared.path_, {.mode = fs::OpenMode::kCreateNew, .permissions = kBeingFilled});
    if (!file.ok()) {
        return file.error();
    }
    shared.file_ = std::move(file).value();
    Status sized = shared.file_->reserve(shared.layout_.file_bytes);
    if (!sized.ok() && sized.error().kind == ErrorKind::kInvalid) {
        // Not every file system can reserve; the space was asked for before.
        sized = shared.file_->truncate(shared.layout_.file_bytes);
    }
    if (!sized.ok()) {
        return sized.error();
    }
    if (const Status written = shared.write_header(); !written.ok()) {
        return written.error();
    }
    shared.write_seconds_ = base::monotonic_seconds() - begin_seconds;
    return shared;
}

Status SharedFile::write_header() {
    header_chunks_.clear();
    std::uint64_t offset = 0;
    for (auto left = std::as_bytes(std::span(header_)); !left.empty();) {
        const auto chunk = left.first(std::min<std::size_t>(left.size(), kChunkBytes));
        header_chunks_.push_back({chunk.size(), base::checksum64(chunk)});
        if (Status written = fs::write_all(*file_, chunk, offset); !written.ok()) {
            return written;
        }
        offset += chunk.size();
        left = left.subspan(chunk.size());
    }
    return Status{};
}

Status SharedFile::check_length() {
    const Result<fs::FileStatus> status = file_->status();
    if (!status.ok()) {
        return status.error();
    }
    if (status.value().bytes != layout_.file_bytes) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} is {} bytes after the ranks wrote it, it was made with {}",
                                 path_,
                                 status.value().bytes,
                                 layout_.file_bytes),
                     0};
    }
    return Status{};
}

Status SharedFile::take_write_bits() {
    const Result<fs::FileStatus> status = file_->status();
    if (!status.ok()) {
        return status.error();
    }
    Status changed = file_->set_permissions(status.value().mode & ~kWriteBits);
    const int reason = changed.ok() ? 0 : changed.error().os_errno;
    // A guard against slips of the hand; not every file system has it.
    const bool has_none = reason == EPERM || reason == EOPNOTSUPP || reason == ENOSYS;
    return has_none ? Status{} : changed;
}

Status SharedFile::sync_and_close() {
    Status synced = file_->sync();
    if (!synced.ok() && synced.error().os_errno == EINTR) {
        // What the sync would have told is gone. The pieces were synced by their ranks; the header
        // is written again, so that it is waited for anew.
        const Status written = write_header();
        synced = written.ok() ? file_->sync() : written;
    }
    return synced.ok() ? file_->close() : synced;
}

Result<Readback> SharedFile::read_header_back(TransferBuffers& buffers) const {
    const Result<ChunkFile> file = ChunkFile::open(*file_system_, path_, true);
    if (!file.ok()) {
        return file.error();
    }
    std::uint64_t offset = 0;
    for (const ChunkRecord& chunk : header_chunks_) {
        const auto bytes = file.value().read_verified(offset, chunk, buffers[0]);
        if (!bytes.ok()) {
            return bytes.error().within("reading back what was just written");
        }
        offset += chunk.bytes;
    }
    return file.value().source();
}

Result<VerifiedFile> SharedFile::end(std::span<const PartRecord> parts, TransferBuffers& buffers) {
    const double begin_seconds = base::monotonic_seconds();
    const Result<std::vector<ChunkRecord>> pieces =
        tile_pieces(name_, {layout_.data_begin, layout_.file_bytes}, parts);
    if (!pieces.ok()) {
        return pieces.error();
    }
    for (const auto step :
         {&SharedFile::check_length, &SharedFile::take_write_bits, &SharedFile::sync_and_close}) {
        if (const Status done = (this->*step)(); !done.ok()) {
            return done.error();
        }
    }
    const double written_seconds = base::monotonic_seconds();
    const Result<Readback> readback = read_header_back(buffers);
    if (!readback.ok()) {
        return readback.error();
    }
    std::vector<ChunkRecord> chunks = header_chunks_;
    chunks.insert(chunks.end(), pieces.value().begin(), pieces.value().end());
    const std::uint64_t checksum = chunks_checksum(chunks);
    return VerifiedFile{.record = {name_, layout_.file_bytes, std::move(chunks), checksum},
                        .readback = readback.value(),
                        .write_seconds = write_seconds_ + written_seconds - begin_seconds,
                        .read_back_seconds = base::monotonic_seconds() - written_seconds};
}

}  // namespace holdfast::checkpoint
