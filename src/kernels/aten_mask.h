// Dropout masks by integer tensor operations, on any device: the same bits as the CPU loops.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "kernels/attention_mask.h"
#include "kernels/dropout_site.h"

namespace holdfast::kernels {

// The factors (0 or 1 / (1 - p)) of `row_count` rows of activations from row `first_row` on: fp32
// [row_count, columns].
at::Tensor aten_activation_factors(const DropoutSite& site,
                                   std::int64_t first_row,
                                   std::int64_t row_count,
                                   std::int64_t columns,
                                   at::Device device);

// The factors of attention weights: fp32 [heads, queries, keys], keys from 0.
at::Tensor aten_attention_factors(const DropoutSite& site,
                                  const AttentionTile& tile,
                                  at::Device device);

}  // namespace holdfast::kernels
