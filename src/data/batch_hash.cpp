#include "data/batch_hash.h"

#include <bit>

#include "base/checksum.h"

namespace holdfast::data {

static_assert(std::endian::native == std::endian::little, "hashes are of little-endian numbers");

std::uint64_t sequence_hash(std::span<const std::int32_t> window) {
    return base::checksum64(std::as_bytes(window));
}

std::uint64_t combine_sequence_hashes(std::span<const std::uint64_t> hashes) {
    return base::checksum64(std::as_bytes(hashes));
}

}  // namespace holdfast::data
