// One transformer block, forward and backward.
//
//   middle = x + dropout(attention(norm_1(x)))        out = middle + dropout(mlp(norm_2(middle)))
//
// Pure functions over the kernels table, given weights, memory and scratch; nothing is allocated
// here.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"
#include "model/gpt_tensors.h"
#include "model/workspace.h"

namespace holdfast::model {

// The dropouts of a model; `site` of kernels::DropoutSite. Part of the numbers of a run.
enum class DropoutPlace : std::int32_t {
    kEmbedding = 0,
    kAttention = 1,
    kMlp = 2,
    kAttentionWeights = 3
};

// What one call works on, the same for all blocks. Dropout probabilities of 0 switch it off.
struct PassContext {
    kernels::Kernels& kernels;
    const GptConfig& config;
    Workspace& workspace;
    std::int64_t sequences = 0;  // S
    std::int64_t time = 0;       // T
    std::uint64_t seed = 0;
    std::int64_t step = 0;
    std::int64_t first_sequence_index = 0;
    bool training = false;

    [[nodiscard]] std::int64_t rows() const { return sequences * time; }
    [[nodiscard]] kernels::DropoutSite dropout(std::int64_t layer, DropoutPlace place) const;
};

// From residual[layer] to residual[layer + 1].
void block_forward(const PassContext& pass, const BlockTensors& weights, std::int64_t layer);

// workspace.stream_gradient: from the gradient of residual[layer + 1] to that of residual[layer].
// Adds the gradients of the weights to `gradients`. What recompute left out is computed again
// first.
void block_backward(const PassContext& pass,
                    const BlockTensors& weights,
                    BlockTensors& gradients,
                    std::int64_t layer);

}  // namespace holdfast::model
