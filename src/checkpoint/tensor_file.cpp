#include "checkpoint/tensor_file.h"

#include <string>
#include <vector>

#include <fmt/format.h>

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

std::vector<TensorInfo> infos_of(std::span<const TensorSource> tensors) {
    std::vector<TensorInfo> infos;
    infos.reserve(tensors.size());
    for (const TensorSource& tensor : tensors) {
        infos.push_back(tensor.info);
    }
    return infos;
}

Status check_sizes(std::span<const TensorSource> tensors) {
    for (const TensorSource& tensor : tensors) {
        if (tensor_bytes(tensor.info) != tensor.bytes.size()) {
            return Error{ErrorKind::kInvalid,
                         fmt::format("tensor {} was given {} bytes, its shape says {}",
                                     tensor.info.name,
                                     tensor.bytes.size(),
                                     tensor_bytes(tensor.info).value_or(0)),
                         0};
        }
    }
    return Status{};
}

}  // namespace

Result<VerifiedFile> write_tensor_file(fs::FileSystem& file_system,
                                       const std::string& directory,
                                       std::string_view file_name,
                                       std::span<const TensorSource> tensors,
                                       const SafetensorsMetadata& metadata,
                                       HeaderChunk header_chunk,
                                       TransferBuffers& buffers) {
    const std::vector<TensorInfo> infos = infos_of(tensors);
    const Result<std::string> header = build_safetensors_header(infos, metadata);
    if (!header.ok()) {
        return header.error();
    }
    if (const Status sizes = check_sizes(tensors); !sizes.ok()) {
        return sizes.error();
    }
    std::uint64_t bytes = header.value().size();
    for (const TensorSource& tensor : tensors) {
        bytes += tensor.bytes.size();
    }
    return write_verified_file(
        file_system, directory, std::string(file_name), bytes, buffers, [&](StreamWriter& writer) {
            Status status = writer.append(std::as_bytes(std::span(header.value())));
            if (status.ok() && header_chunk == HeaderChunk::kOwn) {
                status = writer.end_chunk();
            }
            for (std::size_t i = 0; status.ok() && i < tensors.size(); ++i) {
                status = writer.append(tensors[i].bytes);
            }
            return status;
        });
}

Result<std::uint64_t> tensor_file_bytes(std::span<const TensorInfo> tensors,
                                        const SafetensorsMetadata& metadata) {
    const Result<SafetensorsHeader> layout = lay_out_safetensors(tensors, metadata);
    if (!layout.ok()) {
        return layout.error();
    }
    return layout.value().file_bytes;
}

}  // namespace holdfast::checkpoint
