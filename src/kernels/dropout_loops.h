// Rows through a dropout mask.
#pragma once

#include <cstdint>

#include "kernels/bf16_bits.h"
#include "kernels/dropout_mask.h"

namespace holdfast::kernels {

// out = residual + factor * branch over one row; out may be residual.
void dropout_add_row_loop(const MaskSource& source,
                          const MaskRow& row,
                          const float* residual,
                          const float* branch,
                          float* out,
                          std::int64_t columns);
void dropout_add_row_loop(const MaskSource& source,
                          const MaskRow& row,
                          const Bf16Bits* residual,
                          const Bf16Bits* branch,
                          Bf16Bits* out,
                          std::int64_t columns);

// out = factor * values over one row; out may be values.
void dropout_row_loop(const MaskSource& source,
                      const MaskRow& row,
                      const float* values,
                      float* out,
                      std::int64_t columns);
void dropout_row_loop(const MaskSource& source,
                      const MaskRow& row,
                      const Bf16Bits* values,
                      Bf16Bits* out,
                      std::int64_t columns);

// The factors themselves.
void dropout_factors_row_loop(const MaskSource& source,
                              const MaskRow& row,
                              float* factors,
                              std::int64_t columns);

}  // namespace holdfast::kernels
