// A safetensors file that several ranks fill, on the side of the rank that makes it: created with
// its header and its whole length, left to the ranks, and ended once they have told their pieces.
//
// Holds the file open all the while, so that whatever the system failed to write on this machine is
// told by the last fsync. One thread at a time; blocks on the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/part_record.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/stream_writer.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

class SharedFile {
public:
    // Makes the file (kExists when taken), writes the header, reserves blocks for all of it: where
    // the file system cannot reserve, the length alone. kNoSpace, kInvalid as
    // build_safetensors_header().
    static base::Result<SharedFile> create(fs::FileSystem& file_system,
                                           const std::string& directory,
                                           const std::string& name,
                                           std::span<const TensorInfo> tensors,
                                           const SafetensorsMetadata& metadata);

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const SafetensorsHeader& layout() const { return layout_; }

    // Joins header and pieces to one record; kCorrupt names the rank and the byte when they do not
    // tile the file, or when it is not as long as it was made. Then the file is read-only, synced,
    // and its header read back and compared. Once.
    base::Result<VerifiedFile> end(std::span<const PartRecord> parts, TransferBuffers& buffers);

private:
    SharedFile(fs::FileSystem& file_system, std::string path, std::string name)
        : file_system_(&file_system), path_(std::move(path)), name_(std::move(name)) {}

    base::Status write_header();
    base::Status check_length();
    base::Status take_write_bits();
    base::Status sync_and_close();
    base::Result<Readback> read_header_back(TransferBuffers& buffers) const;

    fs::FileSystem* file_system_;
    std::string path_;
    std::string name_;
    SafetensorsHeader layout_;
    std::string header_;
    std::vector<ChunkRecord> header_chunks_;
    std::unique_ptr<fs::File> file_;
    double write_seconds_ = 0;
};

// The chunks of the pieces of `file_name` in all parts, in order. kCorrupt when they do not tile
// [begin, end): names the first byte that is missing or there twice, and the ranks. Pure.
base::Result<std::vector<ChunkRecord>> tile_pieces(const std::string& file_name,
                                                   ByteRange range,
                                                   std::span<const PartRecord> parts);

}  // namespace holdfast::checkpoint
