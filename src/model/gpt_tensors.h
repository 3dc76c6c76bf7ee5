// The tensors of a model as the forward and backward pass name them: views of one flat arena.
//
// The same struct serves weights (views of the master or the compute copy) and gradients (views of
// a gradient arena). Shapes as stored: wte has its padding rows. Bias members are undefined tensors
// when the model has none.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "model/arena.h"

namespace holdfast::model {

struct BlockTensors {
    at::Tensor ln_1_weight, ln_1_bias;            // [C]
    at::Tensor attn_weight, attn_bias;            // [3C, C], [3C]
    at::Tensor attn_proj_weight, attn_proj_bias;  // [C, C], [C]
    at::Tensor ln_2_weight, ln_2_bias;            // [C]
    at::Tensor fc_weight, fc_bias;                // [4C, C], [4C]
    at::Tensor mlp_proj_weight, mlp_proj_bias;    // [C, 4C], [C]
};

struct GptTensors {
    std::vector<BlockTensors> blocks;
    at::Tensor ln_f_weight, ln_f_bias;  // [C]
    at::Tensor wte;                     // [padded V, C]
    at::Tensor wpe;                     // [block_size, C]

    // Views of `arena`, which has the layout of `config`.
    static GptTensors of(const at::Tensor& arena,
                         const ArenaLayout& layout,
                         const GptConfig& config);
};

}  // namespace holdfast::model
