// Cross-entropy of one row of logits: two reading passes, and one that writes the gradient.
//
// exp has a relative error below 2e-7 (vector_math.h); its sum is fp32 within 2048 columns and fp64
// beyond. A NaN logit makes the loss NaN.
#pragma once

#include <cstdint>

#include "kernels/bf16_bits.h"

namespace holdfast::kernels {

struct RowSoftmax {
    float largest = 0.0F;
    double exp_sum = 0.0;  // of exp(logit - largest)
    double nats = 0.0;     // log-sum-exp minus the target's logit
};

// `target` is a column below `vocab_size`.
RowSoftmax cross_entropy_row_loop(const float* logits,
                                  std::int64_t vocab_size,
                                  std::int64_t target);
RowSoftmax cross_entropy_row_loop(const Bf16Bits* logits,
                                  std::int64_t vocab_size,
                                  std::int64_t target);

// logits become (softmax - one-hot of target) * scale.
void cross_entropy_gradient_row_loop(float* logits,
                                     std::int64_t vocab_size,
                                     std::int64_t target,
                                     const RowSoftmax& softmax,
                                     double scale);
void cross_entropy_gradient_row_loop(Bf16Bits* logits,
                                     std::int64_t vocab_size,
                                     std::int64_t target,
                                     const RowSoftmax& softmax,
                                     double scale);

}  // namespace holdfast::kernels
