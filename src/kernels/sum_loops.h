// Additions and copies over stretches, and sums down columns.
#pragma once

#include <cstdint>

#include "kernels/bf16_bits.h"

namespace holdfast::kernels {

// out = a + b; out may be either.
void add_loop(const float* a, const float* b, float* out, std::int64_t count);
void add_loop(const Bf16Bits* a, const Bf16Bits* b, Bf16Bits* out, std::int64_t count);
// sum += addend.
void accumulate_loop(const Bf16Bits* addend, float* sum, std::int64_t count);
void cast_loop(const float* from, Bf16Bits* to, std::int64_t count);

// sums += columns [column_begin, column_end) of values [rows, columns], added by blocks of 64 rows
// in order.
void column_sums_loop(const float* values,
                      std::int64_t rows,
                      std::int64_t columns,
                      float* sums,
                      std::int64_t column_begin,
                      std::int64_t column_end);
void column_sums_loop(const Bf16Bits* values,
                      std::int64_t rows,
                      std::int64_t columns,
                      float* sums,
                      std::int64_t column_begin,
                      std::int64_t column_end);

}  // namespace holdfast::kernels
