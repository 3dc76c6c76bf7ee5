// A safetensors header without the padding that this program writes: thousands of spaces are
// nothing to mutate.
#pragma once

#include <span>
#include <string>

#include "checkpoint/safetensors.h"

namespace holdfast::fuzz {

// Length field and JSON. The tensors and metadata must be ones that can be printed.
inline std::string unpadded_header(std::span<const checkpoint::TensorInfo> tensors,
                                   const checkpoint::SafetensorsMetadata& metadata) {
    std::string header = checkpoint::build_safetensors_header(tensors, metadata).value();
    header.erase(header.find_last_not_of(' ') + 1);
    std::size_t bytes = header.size() - 8;
    for (std::size_t i = 0; i < 8; ++i, bytes >>= 8U) {
        header[i] = static_cast<char>(bytes & 0xFFU);
    }
    return header;
}

}  // namespace holdfast::fuzz
