// The numbers behind every dropout mask: which Philox word decides over which element.
//
// A mask row belongs to (sequence in the global batch, plane, row): plane is 0 and row the time for
// activations; for attention weights plane is the head and row the query. Column is the channel or
// the attended key. Columns go by groups of 64: one Philox block serves the columns g*64 + j,
// + 16, + 32, + 48 (j < 16) with its words 0 to 3, so that 16 neighbours are the same word of 16
// blocks. Pure functions; any thread.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/philox.h"
#include "kernels/dropout_site.h"

namespace holdfast::kernels {

inline constexpr std::int64_t kMaskGroupColumns = 64;
inline constexpr std::int64_t kMaskGroupBlocks = 16;
// A group of columns and a plane share one counter word.
inline constexpr std::int64_t kMaskPlaneMax = 1 << 12;
inline constexpr std::int64_t kMaskColumnMax = std::int64_t{1} << 22;

struct MaskRow {
    std::int64_t sequence_index = 0;
    std::int64_t plane = 0;
    std::int64_t row = 0;
};

// The Philox key of one dropout site in one step.
inline std::uint64_t mask_key(const DropoutSite& site) {
    const auto step = static_cast<std::uint64_t>(site.step);
    const base::PhiloxBlock mixed =
        base::philox4x32({static_cast<std::uint32_t>(step),
                          static_cast<std::uint32_t>(step >> 32U),
                          static_cast<std::uint32_t>(site.layer),
                          static_cast<std::uint32_t>(site.site)},
                         base::stream_key(site.seed, base::RandomStream::kDropout));
    return std::uint64_t{mixed[1]} << 32U | mixed[0];
}

// An element is kept when the upper 24 bits of its word are at least this: the same as
// uniform_float(word) >= probability, without rounding.
inline std::uint32_t mask_threshold(double probability) {
    HF_CHECK(probability >= 0.0 && probability < 1.0, "dropout probability {}", probability);
    return static_cast<std::uint32_t>(std::ceil(probability * 0x1.0p24));
}

inline float mask_scale(double probability) {
    return static_cast<float>(1.0 / (1.0 - probability));
}

// A site made ready for loops.
struct MaskSource {
    explicit MaskSource(const DropoutSite& site)
        : key(mask_key(site)),
          threshold(mask_threshold(site.probability)),
          scale(mask_scale(site.probability)) {}

    std::uint64_t key;
    std::uint32_t threshold;
    float scale;
};

// The counter of the block `block` (0 to 15) of the column group `group`.
inline base::PhiloxBlock mask_counter(const MaskRow& row, std::int64_t group, std::int64_t block) {
    const auto sequence = static_cast<std::uint64_t>(row.sequence_index);
    return {static_cast<std::uint32_t>(row.plane << 20 | group << 4 | block),
            static_cast<std::uint32_t>(row.row),
            static_cast<std::uint32_t>(sequence),
            static_cast<std::uint32_t>(sequence >> 32U)};
}

// The definition, one element at a time: slow, for tests.
inline bool mask_keeps(const DropoutSite& site, const MaskRow& row, std::int64_t column) {
    const std::int64_t in_group = column % kMaskGroupColumns;
    const base::PhiloxBlock block = base::philox4x32(
        mask_counter(row, column / kMaskGroupColumns, in_group % kMaskGroupBlocks), mask_key(site));
    const std::uint32_t word = block[static_cast<std::size_t>(in_group / kMaskGroupBlocks)];
    return (word >> 8U) >= mask_threshold(site.probability);
}

// The row of activations number `row` of B x T.
inline MaskRow activation_mask_row(const DropoutSite& site, std::int64_t row) {
    return {site.first_sequence_index + row / site.sequence_tokens, 0, row % site.sequence_tokens};
}

}  // namespace holdfast::kernels
