// Writes one new file from front to back through the transfer buffers: while one is being written
// by a second thread, the other is filled and hashed by this one; or through one buffer alone, by
// the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>

#include "base/checksum.h"
#include "base/result.h"
#include "checkpoint/manifest.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

enum class BufferUse {
    kBoth,        // one is written by a second thread while the other is filled
    kSecondOnly,  // written by the calling thread; the first is free for who produces the bytes
};

class StreamWriter {
public:
    // Makes `path` (kExists when taken) with mode 0444 under the umask and reserves `bytes`.
    static base::Result<std::unique_ptr<StreamWriter>> create(fs::FileSystem& file_system,
                                                              const std::string& path,
                                                              std::uint64_t bytes,
                                                              bool direct,
                                                              TransferBuffers& buffers,
                                                              BufferUse use);
    // Copies and hashes; returns while the last chunk may still be on its way to the disk.
    base::Status append(std::span<const std::byte> bytes);
    // Cuts a chunk here; what comes next begins another. Only after a multiple of kDirectAlignment.
    base::Status end_chunk();
    // Everything on its way, exact length, fsync, close. The record's name is left to the caller.
    base::Result<FileRecord> finish();

    StreamWriter(const StreamWriter&) = delete;
    StreamWriter& operator=(const StreamWriter&) = delete;
    ~StreamWriter();

private:
    StreamWriter(std::unique_ptr<fs::File> file,
                 std::uint64_t bytes,
                 bool direct,
                 TransferBuffers& buffers,
                 BufferUse use);
    base::Status flush_chunk();
    base::Status wait();

    std::unique_ptr<fs::File> file_;
    std::uint64_t bytes_expected_;
    bool direct_;
    TransferBuffers& buffers_;
    BufferUse use_;
    std::size_t buffer_index_;
    std::uint64_t filled_ = 0;          // of the current buffer
    std::uint64_t offset_ = 0;          // of the current buffer in the file
    base::StreamingChecksum checksum_;  // of the current buffer's bytes
    FileRecord record_;
    std::future<base::Status> in_flight_;
};

struct VerifiedFile {
    FileRecord record;
    Readback readback = Readback::kCache;
    double write_seconds = 0;  // reserving, hashing, writing, fsync
    double read_back_seconds = 0;
};

// The whole life of a file in a pending directory: created, filled by `produce` (called again from
// the start when O_DIRECT turns out not to work here, or when a signal broke the fsync off),
// fsynced, read back and compared. kCorrupt: what came back was not what was written. On failure
// the file may be left: the directory goes.
base::Result<VerifiedFile> write_verified_file(
    fs::FileSystem& file_system,
    const std::string& directory,
    const std::string& name,
    std::uint64_t bytes,
    TransferBuffers& buffers,
    const std::function<base::Status(StreamWriter&)>& produce,
    BufferUse use = BufferUse::kBoth);

}  // namespace holdfast::checkpoint
