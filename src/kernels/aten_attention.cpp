// Legend: B sequences, T tokens, C channels, H heads, D head size.
#include "kernels/aten_attention.h"

#include <array>
#include <tuple>

#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention_backward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_backward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>

#include "base/check.h"
#include "kernels/unfused_attention.h"

namespace holdfast::kernels {
namespace {

enum class Form { kFlashCpu, kFlash, kEfficient, kUnfused };

Form form_of(const at::Tensor& qkv_BTC3, std::int64_t head_count, double probability) {
    const std::int64_t head_size = qkv_BTC3.size(2) / 3 / head_count;
    if (probability > 0.0) {
        return Form::kUnfused;
    }
    if (qkv_BTC3.is_cpu()) {
        return Form::kFlashCpu;
    }
    if (qkv_BTC3.scalar_type() == at::kBFloat16) {
        return head_size % 8 == 0 && head_size <= 256 ? Form::kFlash : Form::kUnfused;
    }
    return head_size % 4 == 0 ? Form::kEfficient : Form::kUnfused;
}

// [3, B, H, T, D], a view.
at::Tensor by_head(const at::Tensor& qkv_BTC3, std::int64_t head_count) {
    const std::int64_t channels = qkv_BTC3.size(2) / 3;
    return qkv_BTC3.view({qkv_BTC3.size(0), qkv_BTC3.size(1), 3, head_count, channels / head_count})
        .permute({2, 0, 3, 1, 4});
}

// [B, T, C] as [B, H, T, D], a view.
at::Tensor rows_by_head(const at::Tensor& rows_BTC, std::int64_t head_count) {
    return rows_BTC
        .view({rows_BTC.size(0), rows_BTC.size(1), head_count, rows_BTC.size(2) / head_count})
        .transpose(1, 2);
}

// The fused kernels lay [B, H, T, D] out as [B, T, H, D], so this copies nothing.
at::Tensor heads_as_rows(const at::Tensor& out_BHTD) {
    const at::Tensor rows = out_BHTD.transpose(1, 2).contiguous();
    return rows.view({rows.size(0), rows.size(1), rows.size(2) * rows.size(3)});
}

}  // namespace

void aten_attention_forward(const at::Tensor& qkv_BTC3,
                            std::int64_t head_count,
                            const DropoutSite& dropout,
                            AttentionMemory& memory) {
    const Form form = form_of(qkv_BTC3, head_count, dropout.probability);
    if (form == Form::kUnfused) {
        unfused_attention_forward(qkv_BTC3, head_count, dropout, memory);
        return;
    }
    const at::Tensor qkv = by_head(qkv_BTC3, head_count);
    const at::Tensor q = qkv.select(0, 0);
    const at::Tensor k = qkv.select(0, 1);
    const at::Tensor v = qkv.select(0, 2);
    at::Tensor out_BHTD;
    if (form == Form::kFlashCpu) {
        std::tie(out_BHTD, memory.lse) =
            at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, true);
    } else if (form == Form::kFlash) {
        auto results = at::_scaled_dot_product_flash_attention(q, k, v, 0.0, true, false);
        out_BHTD = std::get<0>(results);
        memory.lse = std::get<1>(results);
        memory.rng_a = std::get<6>(results);
        memory.rng_b = std::get<7>(results);
    } else {
        std::tie(out_BHTD, memory.lse, memory.rng_a, memory.rng_b) =
            at::_scaled_dot_product_efficient_attention(q, k, v, std::nullopt, true, 0.0, true);
    }
    memory.out = heads_as_rows(out_BHTD);
}

void aten_attention_backward(const at::Tensor& dout_BTC,
                             const at::Tensor& qkv_BTC3,
                             std::int64_t head_count,
                             const DropoutSite& dropout,
                             const AttentionMemory& memory,
                             at::Tensor& dqkv_BTC3) {
    const Form form = form_of(qkv_BTC3, head_count, dropout.probability);
    if (form == Form::kUnfused) {
        unfused_attention_backward(dout_BTC, qkv_BTC3, head_count, dropout, memory, dqkv_BTC3);
        return;
    }
    const at::Tensor qkv = by_head(qkv_BTC3, head_count);
    const at::Tensor q = qkv.select(0, 0);
    const at::Tensor k = qkv.select(0, 1);
    const at::Tensor v = qkv.select(0, 2);
    const at::Tensor dout = rows_by_head(dout_BTC, head_count);
    const at::Tensor out = rows_by_head(memory.out, head_count);
    const at::Tensor none;
    const std::int64_t tokens = qkv_BTC3.size(1);
    std::array<at::Tensor, 3> gradients;
    if (form == Form::kFlashCpu) {
        std::tie(gradients[0], gradients[1], gradients[2]) =
            at::_scaled_dot_product_flash_attention_for_cpu_backward(
                dout, q, k, v, out, memory.lse, 0.0, true);
    } else if (form == Form::kFlash) {
        std::tie(gradients[0], gradients[1], gradients[2]) =
            at::_scaled_dot_product_flash_attention_backward(dout,
                                                             q,
                                                             k,
                                                             v,
                                                             out,
                                                             memory.lse,
                                                             none,
                                                             none,
                                                             tokens,
                                                             tokens,
                                                             0.0,
                                                             true,
                                                             memory.rng_a,
                                                             memory.rng_b);
    } else {
        auto results =
            at::_scaled_dot_product_efficient_attention_backward(dout,
                                                                 q,
                                                                 k,
                                                                 v,
                                                                 none,
                                                                 out,
                                                                 memory.lse,
                                                                 memory.rng_a,
                                                                 memory.rng_b,
                                                                 0.0,
                                                                 {true, true, true, false},
                                                                 true);
        gradients = {std::get<0>(results), std::get<1>(results), std::get<2>(results)};
    }
    const at::Tensor dqkv = by_head(dqkv_BTC3, head_count);
    for (std::int64_t part = 0; part < 3; ++part) {
        dqkv.select(0, part).copy_(gradients[static_cast<std::size_t>(part)]);
    }
}

}  // namespace holdfast::kernels
