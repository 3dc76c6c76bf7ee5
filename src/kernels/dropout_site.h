// Where a dropout mask stands: plain values, no torch.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

// What a dropout mask is a function of: bit for bit the same mask wherever and whenever it is made.
// Row r of a tensor of N = B x T rows belongs to sequence first_sequence_index + r / T at time r %
// T; element (sequence, time, channel) is kept when its uniform number (base/philox.h, stream
// kDropout) is at least p, and then scaled by 1 / (1 - p).
struct DropoutSite {
    std::uint64_t seed = 0;
    std::int64_t step = 0;
    std::int64_t first_sequence_index = 0;  // in the global batch
    std::int64_t sequence_tokens = 1;       // T
    std::int32_t layer = 0;
    std::int32_t site = 0;  // which dropout of the layer
    double probability = 0.0;
};

}  // namespace holdfast::kernels
