// The logical tensors of a checkpoint: whole ones, and those cut into fragments over rank parts.
//
// A fragment is a flat tensor named `NAME@begin:end` (elements, half open); the whole shape stands
// in the metadata of its file as "shape:NAME" -> "768,3072" ("" for a scalar). Fragments must tile
// the whole exactly. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/safetensors.h"

namespace holdfast::checkpoint {

struct FragmentName {
    std::string name;
    std::uint64_t element_begin = 0;
    std::uint64_t element_end = 0;
};

std::string fragment_name(std::string_view name,
                          std::uint64_t element_begin,
                          std::uint64_t element_end);
// Nothing when `name` is not exactly what fragment_name prints (the name of a whole tensor has no
// '@').
std::optional<FragmentName> parse_fragment_name(std::string_view name);
// The metadata entry that tells the whole shape.
std::string shape_key(std::string_view name);
std::string shape_text(const std::vector<std::int64_t>& shape);

// Where a run of elements of a logical tensor lies.
struct TensorPiece {
    std::size_t file_index = 0;
    std::uint64_t file_begin = 0;  // byte offset in that file
    std::uint64_t element_begin = 0;
    std::uint64_t element_end = 0;
};

struct LogicalTensor {
    TensorInfo info;
    std::vector<TensorPiece> pieces;  // by element; they tile the tensor
};

// All tensors of all files, sorted by name. kCorrupt when one is there twice, fragments do not
// tile, or their shape is missing or told differently.
base::Result<std::vector<LogicalTensor>> map_tensors(std::span<const SafetensorsHeader> headers);

// The entry of `name` in a sorted list; null when there is none.
const LogicalTensor* find_tensor(std::span<const LogicalTensor> tensors, std::string_view name);

}  // namespace holdfast::checkpoint
