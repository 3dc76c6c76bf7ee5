// Attention by libtorch's fused operations, with the unfused form where they do not fit.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "kernels/kernels.h"

namespace holdfast::kernels {

// As Kernels::attention_forward and attention_backward; the choice of the operation is a function
// of device, dtype, head size and dropout probability, so backward makes the same one.
void aten_attention_forward(const at::Tensor& qkv_BTC3,
                            std::int64_t head_count,
                            const DropoutSite& dropout,
                            AttentionMemory& memory);
void aten_attention_backward(const at::Tensor& dout_BTC,
                             const at::Tensor& qkv_BTC3,
                             std::int64_t head_count,
                             const DropoutSite& dropout,
                             const AttentionMemory& memory,
                             at::Tensor& dqkv_BTC3);

}  // namespace holdfast::kernels
