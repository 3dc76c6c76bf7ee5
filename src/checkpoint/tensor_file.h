// One safetensors file of a checkpoint, from the caller's memory to the disk, verified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/stream_writer.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// A tensor and where its bytes lie in host memory; borrowed while it is written.
struct TensorSource {
    TensorInfo info;
    std::span<const std::byte> bytes;
};

// How the header of a file is cut into chunks.
enum class HeaderChunk {
    kWithData,  // the first chunk goes on into the tensors
    // It ends a chunk: whoever wants to know which tensors a file holds reads no tensor. For files
    // of which a checkpoint has one a rank.
    kOwn,
};

// Writes a new file into `directory`, tensors in the given order, as write_verified_file() does.
// Further errors: kInvalid when a tensor has other bytes than its shape says, or no header can be
// built of them. Blocks on the disk.
base::Result<VerifiedFile> write_tensor_file(fs::FileSystem& file_system,
                                             const std::string& directory,
                                             std::string_view file_name,
                                             std::span<const TensorSource> tensors,
                                             const SafetensorsMetadata& metadata,
                                             HeaderChunk header_chunk,
                                             TransferBuffers& buffers);

// Bytes a tensor file of these tensors takes, header included; for plans.
base::Result<std::uint64_t> tensor_file_bytes(std::span<const TensorInfo> tensors,
                                              const SafetensorsMetadata& metadata = {
                                                  {"format", "pt"}});

}  // namespace holdfast::checkpoint
