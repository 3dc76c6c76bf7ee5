// Dropout factors (0 or 1 / (1 - p)) on lanes: dropout_mask.h computed sixteen blocks at a time.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/dropout_mask.h"
#include "kernels/vector_lanes.h"

namespace holdfast::kernels {

struct WordProduct {
    Words high;
    Words low;
};

[[gnu::always_inline]] inline WordProduct multiply_words(Words lanes, std::uint64_t factor) {
    LongWords pairs;
    std::memcpy(&pairs, &lanes, sizeof(pairs));
    const LongWords even = (pairs & 0xFFFFFFFFU) * factor;
    const LongWords odd = (pairs >> 32U) * factor;
    const LongWords high = (even >> 32U) | (odd & ~std::uint64_t{0xFFFFFFFFU});
    const LongWords low = (even & 0xFFFFFFFFU) | (odd << 32U);
    WordProduct product{};
    std::memcpy(&product.high, &high, sizeof(high));
    std::memcpy(&product.low, &low, sizeof(low));
    return product;
}

// The factors of the 64 columns of a group: element k holds the columns group * 64 + 16 k + lane.
[[gnu::always_inline]] inline std::array<Floats, 4> mask_factors(const MaskSource& source,
                                                                 const MaskRow& row,
                                                                 std::int64_t group) {
    constexpr Words kBlock = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const base::PhiloxBlock first = mask_counter(row, group, 0);
    Words c0 = kBlock + first[0];
    Words c1 = Words{} + first[1];
    Words c2 = Words{} + first[2];
    Words c3 = Words{} + first[3];
    auto key_low = static_cast<std::uint32_t>(source.key);
    auto key_high = static_cast<std::uint32_t>(source.key >> 32U);
    for (int round = 0; round < 10; ++round) {
        const WordProduct product_0 = multiply_words(c0, 0xD2511F53U);
        const WordProduct product_1 = multiply_words(c2, 0xCD9E8D57U);
        c0 = product_1.high ^ c1 ^ key_low;
        c1 = product_1.low;
        c2 = product_0.high ^ c3 ^ key_high;
        c3 = product_0.low;
        key_low += 0x9E3779B9U;
        key_high += 0xBB67AE85U;
    }
    const Floats kept = broadcast(source.scale);
    std::array<Floats, 4> factors{};
    const std::array<Words, 4> words = {c0, c1, c2, c3};
    for (std::size_t k = 0; k < 4; ++k) {
        factors[k] = (words[k] >> 8U) >= source.threshold ? kept : Floats{};
    }
    return factors;
}

// Calls body(first_column, extent, factors) for the sixteen-lane stretches of a row of `columns`.
template <typename Body>
[[gnu::always_inline]] inline void for_masked_lanes(const MaskSource& source,
                                                    const MaskRow& row,
                                                    std::int64_t columns,
                                                    Body body) {
    for (std::int64_t group = 0; group * kMaskGroupColumns < columns; ++group) {
        const std::array<Floats, 4> factors = mask_factors(source, row, group);
        for (std::size_t k = 0; k < 4; ++k) {
            const std::int64_t column =
                group * kMaskGroupColumns + static_cast<std::int64_t>(k) * kLanes;
            if (column + kLanes <= columns) {
                body(column, Whole{}, factors[k]);
            } else if (column < columns) {
                body(column, Rest{columns - column}, factors[k]);
            }
        }
    }
}

}  // namespace holdfast::kernels
