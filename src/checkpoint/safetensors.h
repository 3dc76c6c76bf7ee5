// The header of a safetensors file: 8 bytes little-endian length N, N bytes of JSON, then data.
// (Format: the README of huggingface/safetensors.) Bytes and names only; nothing of torch here.
//
// Built headers are padded with spaces so that the data starts at a multiple of 4096. Parsing is
// bounded and strict: sizes are checked before anything is allocated, the data offsets must tile
// the data without holes or overlaps and end at the end of the file, names are unique, each shape
// matches its byte range. Pure functions but the last; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

inline constexpr std::uint64_t kSafetensorsHeaderBytesMax = 100'000'000;

// A tensor as the header knows it. Row-major, little-endian.
struct TensorInfo {
    std::string name;
    std::string dtype;                // "F32", "BF16", "I64", ... : dtype_bytes() knows them
    std::vector<std::int64_t> shape;  // empty: a scalar
    bool operator==(const TensorInfo&) const = default;
};

// Bytes an element of a dtype; nothing for an unknown word.
std::optional<std::uint64_t> dtype_bytes(std::string_view dtype);
// Elements and bytes of a tensor; nothing on an unknown dtype, a negative size or an overflow.
std::optional<std::uint64_t> tensor_elements(const std::vector<std::int64_t>& shape);
std::optional<std::uint64_t> tensor_bytes(const TensorInfo& tensor);

using SafetensorsMetadata = std::map<std::string, std::string>;

struct SafetensorsHeader {
    struct Slot {
        TensorInfo tensor;
        std::uint64_t begin = 0;  // from the start of the file
        std::uint64_t end = 0;
        bool operator==(const Slot&) const = default;
    };
    std::vector<Slot> slots;  // by offset
    SafetensorsMetadata metadata;
    std::uint64_t data_begin = 0;
    std::uint64_t file_bytes = 0;

    // Linear in the number of tensors; null when there is none of that name.
    [[nodiscard]] const Slot* find(std::string_view name) const;
};

// The bytes before the data, length field and padding included; tensors lie in the given order.
// kInvalid on an unknown dtype, a doubled name or a size that overflows.
base::Result<std::string> build_safetensors_header(std::span<const TensorInfo> tensors,
                                                   const SafetensorsMetadata& metadata);

// The same header as a reader will see it, without its bytes: where each tensor of such a file
// lies. Whoever has the same tensors and metadata computes the same.
base::Result<SafetensorsHeader> lay_out_safetensors(std::span<const TensorInfo> tensors,
                                                    const SafetensorsMetadata& metadata);

// A stretch of a file, half open.
struct ByteRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool operator==(const ByteRange&) const = default;
};

// Where the elements [element_begin, element_end) of a tensor lie. kInvalid when the file has no
// such tensor or the tensor no such elements.
base::Result<ByteRange> element_bytes(const SafetensorsHeader& layout,
                                      std::string_view name,
                                      std::uint64_t element_begin,
                                      std::uint64_t element_end);

// The N of the first 8 bytes; kCorrupt when it cannot be in a file of `file_bytes`.
base::Result<std::uint64_t> parse_safetensors_length(std::span<const std::byte> first_8_bytes,
                                                     std::uint64_t file_bytes);

// `json` is the N bytes after the length field.
base::Result<SafetensorsHeader> parse_safetensors_header(std::string_view json,
                                                         std::uint64_t file_bytes);

// Both of the above on an open file; `path` is for messages. Blocks on the disk.
base::Result<SafetensorsHeader> read_safetensors_header(fs::File& file, std::string_view path);

}  // namespace holdfast::checkpoint
