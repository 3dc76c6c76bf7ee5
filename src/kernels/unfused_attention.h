// Causal attention from batched products and a softmax, with dropout of the attention weights: what
// runs when no fused kernel fits (dropout above 0, a head size the device's kernel refuses).
//
// Everything inside is fp32. A sequence is worked off in blocks of queries against the keys that
// they may see, so that one buffer of scores has at most unfused_score_elements_max() elements;
// three such buffers live at a time. Any device; the same bits run after run.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "kernels/kernels.h"

namespace holdfast::kernels {

// 4 Mi on a CPU (the buffers stay near the cache), 64 Mi elsewhere. One row of queries of all heads
// is always taken whole.
std::int64_t unfused_score_elements_max(at::Device device);

// As Kernels::attention_forward. Sets memory.out [B, T, C] (in place where it is defined) and
// memory.lse fp32 [B, H, T].
void unfused_attention_forward(const at::Tensor& qkv_BTC3,
                               std::int64_t head_count,
                               const DropoutSite& dropout,
                               AttentionMemory& memory);

// As Kernels::attention_backward. Computes the weights again from memory.lse.
void unfused_attention_backward(const at::Tensor& dout_BTC,
                                const at::Tensor& qkv_BTC3,
                                std::int64_t head_count,
                                const DropoutSite& dropout,
                                const AttentionMemory& memory,
                                at::Tensor& dqkv_BTC3);

}  // namespace holdfast::kernels
