// The proof of what was trained on: one 64-bit number a global batch, logged every step.
#pragma once

#include <cstdint>
#include <span>

namespace holdfast::data {

// XXH3-64 of a window's T + 1 tokens, each 4 bytes little-endian: the same for every storage
// format.
std::uint64_t sequence_hash(std::span<const std::int32_t> window);

// batch_hash: XXH3-64 of the sequence hashes of the whole global batch in global order, each 8
// bytes little-endian. Ranks that hash only their own sequences gather first, then combine.
std::uint64_t combine_sequence_hashes(std::span<const std::uint64_t> hashes);

}  // namespace holdfast::data
