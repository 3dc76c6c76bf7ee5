#include "checkpoint/stream_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "checkpoint/chunk_file.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::uint32_t kImmutable = 0444;

// Copied, and still in the processor's cache when it is summed.
constexpr std::uint64_t kPieceBytes = 256ULL << 10U;

}  // namespace

StreamWriter::StreamWriter(std::unique_ptr<fs::File> file,
                           std::uint64_t bytes,
                           bool direct,
                           TransferBuffers& buffers,
                           BufferUse use)
    : file_(std::move(file)),
      bytes_expected_(bytes),
      direct_(direct),
      buffers_(buffers),
      use_(use),
      buffer_index_(use == BufferUse::kBoth ? 0 : 1) {}

StreamWriter::~StreamWriter() {
    if (in_flight_.valid()) {
        in_flight_.wait();
    }
}

Result<std::unique_ptr<StreamWriter>> StreamWriter::create(fs::FileSystem& file_system,
                                                           const std::string& path,
                                                           std::uint64_t bytes,
                                                           bool direct,
                                                           TransferBuffers& buffers,
                                                           BufferUse use) {
    Result<std::unique_ptr<fs::File>> file = file_system.open(
        path,
        fs::OpenOptions{
            .mode = fs::OpenMode::kCreateNew, .direct = direct, .permissions = kImmutable});
    if (!file.ok()) {
        return file.error();
    }
    if (bytes > 0) {
        const Status reserved = file.value()->reserve(bytes);
        // Not every file system can reserve; the space was asked for before.
        if (!reserved.ok() && reserved.error().kind != ErrorKind::kInvalid) {
            return reserved.error();
        }
    }
    return std::unique_ptr<StreamWriter>(
        new StreamWriter(std::move(file).value(), bytes, direct, buffers, use));
}

Status StreamWriter::append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const std::uint64_t part =
            std::min({std::uint64_t{bytes.size()}, kPieceBytes, kChunkBytes - filled_});
        const std::span<std::byte> piece = buffers_[buffer_index_].subspan(filled_, part);
        std::memcpy(piece.data(), bytes.data(), part);
        checksum_.update(piece);
        filled_ += part;
        bytes = bytes.subspan(part);
        if (filled_ == kChunkBytes) {
            if (Status flushed = flush_chunk(); !flushed.ok()) {
                return flushed;
            }
        }
    }
    return Status{};
}

Status StreamWriter::end_chunk() {
    HF_CHECK(filled_ % kDirectAlignment == 0, "a chunk is cut after {} bytes", filled_);
    return filled_ > 0 ? flush_chunk() : Status{};
}

Status StreamWriter::wait() {
    return in_flight_.valid() ? in_flight_.get() : Status{};
}

Status StreamWriter::flush_chunk() {
    const std::span<std::byte> chunk = buffers_[buffer_index_].first(filled_);
    record_.chunks.push_back(ChunkRecord{filled_, checksum_.digest64()});
    checksum_.reset();
    record_.bytes += filled_;
    // The other buffer is being written: it must be done before it is filled again.
    if (Status before = wait(); !before.ok()) {
        return before;
    }
    std::uint64_t length = filled_;
    if (direct_ && length % kDirectAlignment != 0) {
        // The padding is cut off by finish().
        length = (length / kDirectAlignment + 1) * kDirectAlignment;
        std::memset(chunk.data() + filled_, 0, length - filled_);
    }
    const std::span<const std::byte> out = buffers_[buffer_index_].first(length);
    const auto write = [file = file_.get(), out, offset = offset_] {
        return fs::write_all(*file, out, offset);
    };
    const bool last = record_.bytes >= bytes_expected_;
    offset_ += filled_;
    filled_ = 0;
    if (use_ == BufferUse::kSecondOnly) {
        return write();
    }
    buffer_index_ = 1 - buffer_index_;
    if (last) {
        return write();
    }
    in_flight_ = std::async(std::launch::async, write);
    return Status{};
}

Result<FileRecord> StreamWriter::finish() {
    if (filled_ > 0) {
        if (Status flushed = flush_chunk(); !flushed.ok()) {
            return flushed.error();
        }
    }
    if (Status written = wait(); !written.ok()) {
        return written.error();
    }
    HF_CHECK(record_.bytes == bytes_expected_,
             "a file of {} bytes was announced with {}",
             record_.bytes,
             bytes_expected_);
    for (const auto& step :
         {+[](fs::File&file, std::uint64_t bytes) { return file.truncate(bytes); },
          +[](fs::File&file, std::uint64_t) { return file.sync(); },
          +[](fs::File&file, std::uint64_t) { return file.close(); }}) {
        if (Status status = step(*file_, bytes_expected_); !status.ok()) {
            return status.error();
        }
    }
    record_.checksum = chunks_checksum(record_.chunks);
    return std::move(record_);
}

namespace {

Result<FileRecord> write_once(fs::FileSystem& file_system,
                              const std::string& path,
                              std::uint64_t bytes,
                              bool direct,
                              TransferBuffers& buffers,
                              const std::function<Status(StreamWriter&)>& produce,
                              BufferUse use) {
    Result<std::unique_ptr<StreamWriter>> writer =
        StreamWriter::create(file_system, path, bytes, direct, buffers, use);
    if (!writer.ok()) {
        return writer.error();
    }
    if (Status produced = produce(*writer.value()); !produced.ok()) {
        return produced.error();
    }
    return writer.value()->finish();
}

Result<Readback> read_back(fs::FileSystem& file_system,
                           const std::string& path,
                           const FileRecord& record,
                           TransferBuffers& buffers) {
    const Result<ChunkFile> file = ChunkFile::open(file_system, path, true);
    if (!file.ok()) {
        return file.error();
    }
    std::uint64_t offset = 0;
    for (const ChunkRecord& chunk : record.chunks) {
        const auto bytes = file.value().read_verified(offset, chunk, buffers[0]);
        if (!bytes.ok()) {
            return bytes.error().within("reading back what was just written");
        }
        offset += chunk.bytes;
    }
    const Result<fs::FileStatus> status = file.value().file().status();
    if (!status.ok()) {
        return status.error();
    }
    if (status.value().bytes != record.bytes) {
        return base::Error{ErrorKind::kCorrupt,
                           fmt::format("{} is {} bytes just after {} were written",
                                       path,
                                       status.value().bytes,
                                       record.bytes),
                           0};
    }
    return file.value().source();
}

}  // namespace

Result<VerifiedFile> write_verified_file(fs::FileSystem& file_system,
                                         const std::string& directory,
                                         const std::string& name,
                                         std::uint64_t bytes,
                                         TransferBuffers& buffers,
                                         const std::function<Status(StreamWriter&)>& produce,
                                         BufferUse use) {
    const std::string path = fs::join(directory, name);
    const double begin_seconds = base::monotonic_seconds();
    bool direct = true;
    bool interrupted = false;
    Result<FileRecord> record = write_once(file_system, path, bytes, direct, buffers, produce, use);
    while (!record.ok()) {
        const int reason = record.error().os_errno;
        if (direct && reason == EINVAL) {
            direct = false;  // no O_DIRECT here (tmpfs, some network and FUSE mounts)
        } else if (!interrupted && reason == EINTR) {
            interrupted = true;  // a sync that was broken off is not made again: the file is
        } else {
            return record.error().within(fmt::format("writing {}", path));
        }
        const Status removed = file_system.remove_file(path);
        if (!removed.ok() && removed.error().kind != ErrorKind::kNotFound) {
            return removed.error();
        }
        record = write_once(file_system, path, bytes, direct, buffers, produce, use);
    }
    const double written_seconds = base::monotonic_seconds();
    VerifiedFile file{.record = std::move(record).value(),
                      .write_seconds = written_seconds - begin_seconds};
    file.record.name = name;
    const Result<Readback> readback = read_back(file_system, path, file.record, buffers);
    if (!readback.ok()) {
        return readback.error();
    }
    file.readback = readback.value();
    file.read_back_seconds = base::monotonic_seconds() - written_seconds;
    return file;
}

}  // namespace holdfast::checkpoint
