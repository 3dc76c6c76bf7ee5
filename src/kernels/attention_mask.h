// Dropout factors of attention weights by the fastest way that a device has.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "kernels/dropout_site.h"

namespace holdfast::kernels {

// A stretch of the attention weights of one sequence; its keys begin at 0.
struct AttentionTile {
    std::int64_t sequence = 0;  // of the call: 0 is the site's first_sequence_index
    std::int64_t first_head = 0;
    std::int64_t head_count = 0;
    std::int64_t first_query = 0;
    std::int64_t query_count = 0;
    std::int64_t key_count = 0;
};

// fp32 [heads, queries, keys] of 0 or 1 / (1 - p): loops on a CPU, integer tensors elsewhere, the
// same bits.
at::Tensor attention_factors(const DropoutSite& site, const AttentionTile& tile, at::Device device);

}  // namespace holdfast::kernels
