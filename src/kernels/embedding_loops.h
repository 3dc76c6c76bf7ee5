// Token plus position embedding, by rows forward and by columns backward.
#pragma once

#include <cstdint>

#include "kernels/bf16_bits.h"
#include "kernels/dropout_mask.h"

namespace holdfast::kernels {

// What both directions know. `mask` is null without dropout.
struct EmbeddingPlan {
    const std::int32_t* tokens = nullptr;  // [rows]
    std::int64_t rows = 0;
    std::int64_t sequence_tokens = 1;
    std::int64_t channels = 0;
    const MaskSource* mask = nullptr;
    std::int64_t first_sequence_index = 0;
};

// out[row] = (wte[token] + wpe[time]) through the mask, rows [row_begin, row_end).
void embedding_forward_loop(const EmbeddingPlan& plan,
                            const float* wte,
                            const float* wpe,
                            float* out,
                            std::int64_t row_begin,
                            std::int64_t row_end);
void embedding_forward_loop(const EmbeddingPlan& plan,
                            const Bf16Bits* wte,
                            const Bf16Bits* wpe,
                            Bf16Bits* out,
                            std::int64_t row_begin,
                            std::int64_t row_end);

// dwte[token] += and dwpe[time] += in row order, for the columns of the mask groups [group_begin,
// group_end): nobody else writes them.
void embedding_backward_loop(const EmbeddingPlan& plan,
                             const float* dout,
                             float* dwte,
                             float* dwpe,
                             std::int64_t group_begin,
                             std::int64_t group_end);
void embedding_backward_loop(const EmbeddingPlan& plan,
                             const Bf16Bits* dout,
                             float* dwte,
                             float* dwpe,
                             std::int64_t group_begin,
                             std::int64_t group_end);

}  // namespace holdfast::kernels
