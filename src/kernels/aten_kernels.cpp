#include "kernels/aten_kernels.h"

#include <algorithm>
#include <array>
#include <tuple>

#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/zeros_like.h>

#include "base/check.h"
#include "kernels/aten_attention.h"
#include "kernels/aten_mask.h"

namespace holdfast::kernels {
namespace {

constexpr double kNormEpsilon = 1e-5;

// Masks are made for so many elements at a time, to bound their integer temporaries.
constexpr std::int64_t kMaskElementsMax = std::int64_t{1} << 22;

// Calls f(first_row, row_count) over bounded stretches of the rows.
template <typename Function>
void for_row_blocks(std::int64_t rows, std::int64_t columns, const Function& f) {
    const std::int64_t step = std::max<std::int64_t>(1, kMaskElementsMax / columns);
    for (std::int64_t first = 0; first < rows; first += step) {
        f(first, std::min(step, rows - first));
    }
}

// LayerNorm's weights as its kernel wants them: on a CPU fp32 beside bf16 activations, so that the
// statistics are fp32; elsewhere in the dtype of the activations, and the statistics are fp32
// anyhow.
at::Tensor norm_weight(const at::Tensor& weight, const at::Tensor& x_NC) {
    return x_NC.is_cpu() && weight.defined() ? weight.to(at::kFloat) : weight;
}

// Adds what libtorch's LayerNorm answers; gamma as norm_weight() gives it.
void add_norm_gradients(const at::Tensor& dout_NC,
                        const at::Tensor& x_NC,
                        const at::Tensor& gamma_C,
                        const at::Tensor& mean_N,
                        const at::Tensor& rstd_N,
                        const at::Tensor& dresidual_NC,
                        at::Tensor& dgamma_C,
                        at::Tensor& dbeta_C) {
    const std::int64_t rows = x_NC.size(0);
    const auto [dx, dgamma, dbeta] =
        at::native_layer_norm_backward(dout_NC,
                                       x_NC,
                                       x_NC.sizes().slice(1),
                                       mean_N.view({rows, 1}),
                                       rstd_N.view({rows, 1}),
                                       gamma_C,
                                       at::zeros_like(gamma_C),
                                       {true, true, dbeta_C.defined()});
    dresidual_NC.add_(dx);
    dgamma_C.add_(dgamma);
    if (dbeta_C.defined()) {
        dbeta_C.add_(dbeta);
    }
}

at::Tensor column_sums(const at::Tensor& rows) {
    return rows.sum(std::array<std::int64_t, 1>{0}, false, at::kFloat);
}

}  // namespace

void AtenKernels::linear_forward(const at::Tensor& x_NI,
                                 const at::Tensor& weight_OI,
                                 const at::Tensor& bias_O,
                                 at::Tensor& out_NO) {
    if (bias_O.defined()) {
        at::addmm_out(out_NO, bias_O, x_NI, weight_OI.t());
    } else {
        at::mm_out(out_NO, x_NI, weight_OI.t());
    }
}

void AtenKernels::linear_backward_input(const at::Tensor& dout_NO,
                                        const at::Tensor& weight_OI,
                                        at::Tensor& dx_NI) {
    at::mm_out(dx_NI, dout_NO, weight_OI);
}

void AtenKernels::linear_backward_weight(const at::Tensor& dout_NO,
                                         const at::Tensor& x_NI,
                                         at::Tensor& dweight_OI,
                                         at::Tensor& dbias_O) {
    if (x_NI.scalar_type() == at::kFloat) {
        at::addmm_out(dweight_OI, dweight_OI, dout_NO.t(), x_NI);
    } else if (x_NI.is_cpu()) {
        dweight_OI.add_(at::mm(dout_NO.t(), x_NI));
    } else {
        at::addmm_out(dweight_OI, dweight_OI, dout_NO.t(), x_NI, at::kFloat);
    }
    if (dbias_O.defined()) {
        dbias_O.add_(column_sums(dout_NO));
    }
}

void AtenKernels::layer_norm_forward(const at::Tensor& x_NC,
                                     const at::Tensor& gamma_C,
                                     const at::Tensor& beta_C,
                                     at::Tensor& out_NC,
                                     at::Tensor& mean_N,
                                     at::Tensor& rstd_N) {
    const at::Tensor gamma = norm_weight(gamma_C, x_NC);
    // The CPU kernel reads mixed dtypes only with both weights there.
    const at::Tensor beta = norm_weight(beta_C.defined() ? beta_C : at::zeros_like(gamma_C), x_NC);
    const auto [out, mean, rstd] =
        at::native_layer_norm(x_NC, x_NC.sizes().slice(1), gamma, beta, kNormEpsilon);
    out_NC.copy_(out);
    mean_N.copy_(mean.view_as(mean_N));
    rstd_N.copy_(rstd.view_as(rstd_N));
}

void AtenKernels::layer_norm_backward(const at::Tensor& dout_NC,
                                      const at::Tensor& x_NC,
                                      const at::Tensor& gamma_C,
                                      const at::Tensor& mean_N,
                                      const at::Tensor& rstd_N,
                                      at::Tensor& dresidual_NC,
                                      at::Tensor& dgamma_C,
                                      at::Tensor& dbeta_C) {
    const at::Tensor gamma = norm_weight(gamma_C, x_NC);
    if (!x_NC.is_cpu() || x_NC.scalar_type() == at::kFloat) {
        add_norm_gradients(dout_NC, x_NC, gamma, mean_N, rstd_N, dresidual_NC, dgamma_C, dbeta_C);
        return;
    }
    // Of bf16 activations libtorch's CPU kernel sums the gradients of the weights in bf16: of 8,192
    // rows they are more than 10 % off.
    for_row_blocks(x_NC.size(0), x_NC.size(1), [&](std::int64_t first, std::int64_t count) {
        add_norm_gradients(dout_NC.narrow(0, first, count).to(at::kFloat),
                           x_NC.narrow(0, first, count).to(at::kFloat),
                           gamma,
                           mean_N.narrow(0, first, count),
                           rstd_N.narrow(0, first, count),
                           dresidual_NC.narrow(0, first, count),
                           dgamma_C,
                           dbeta_C);
    });
}

void AtenKernels::gelu_forward(const at::Tensor& x, at::Tensor& out) {
    at::gelu_out(out, x, "tanh");
}

void AtenKernels::gelu_backward(const at::Tensor& x, at::Tensor& dout) {
    at::gelu_backward_out(dout, dout, x, "tanh");
}

void AtenKernels::attention_forward(const at::Tensor& qkv_BTC3,
                                    std::int64_t head_count,
                                    const DropoutSite& dropout,
                                    AttentionMemory& memory) {
    aten_attention_forward(qkv_BTC3, head_count, dropout, memory);
}

void AtenKernels::attention_backward(const at::Tensor& dout_BTC,
                                     const at::Tensor& qkv_BTC3,
                                     std::int64_t head_count,
                                     const DropoutSite& dropout,
                                     const AttentionMemory& memory,
                                     at::Tensor& dqkv_BTC3) {
    aten_attention_backward(dout_BTC, qkv_BTC3, head_count, dropout, memory, dqkv_BTC3);
}

void AtenKernels::dropout_add(const at::Tensor& residual_NC,
                              const at::Tensor& branch_NC,
                              const DropoutSite& dropout,
                              at::Tensor& out_NC) {
    if (dropout.probability == 0.0) {
        at::add_out(out_NC, residual_NC, branch_NC);
        return;
    }
    for_row_blocks(out_NC.size(0), out_NC.size(1), [&](std::int64_t first, std::int64_t count) {
        const at::Tensor factors =
            aten_activation_factors(dropout, first, count, out_NC.size(1), device_);
        out_NC.narrow(0, first, count)
            .copy_(factors.mul_(branch_NC.narrow(0, first, count))
                       .add_(residual_NC.narrow(0, first, count)));
    });
}

void AtenKernels::dropout_backward(const at::Tensor& dout_NC,
                                   const DropoutSite& dropout,
                                   at::Tensor& dbranch_NC) {
    if (dropout.probability == 0.0) {
        dbranch_NC.copy_(dout_NC);
        return;
    }
    for_row_blocks(dout_NC.size(0), dout_NC.size(1), [&](std::int64_t first, std::int64_t count) {
        at::Tensor factors =
            aten_activation_factors(dropout, first, count, dout_NC.size(1), device_);
        dbranch_NC.narrow(0, first, count).copy_(factors.mul_(dout_NC.narrow(0, first, count)));
    });
}

void AtenKernels::embedding_forward(const at::Tensor& tokens_BT,
                                    const at::Tensor& wte_VC,
                                    const at::Tensor& wpe_TC,
                                    const DropoutSite& dropout,
                                    at::Tensor& out_NC) {
    const std::int64_t tokens = tokens_BT.size(1);
    const at::Tensor rows_BTC = out_NC.view({tokens_BT.size(0), tokens, out_NC.size(1)});
    const at::Tensor embedded =
        at::index_select(wte_VC, 0, tokens_BT.flatten()).view(rows_BTC.sizes());
    rows_BTC.copy_(embedded.to(at::kFloat).add_(wpe_TC.narrow(0, 0, tokens)));
    if (dropout.probability > 0.0) {
        dropout_backward(out_NC, dropout, out_NC);
    }
}

void AtenKernels::embedding_backward(const at::Tensor& dout_NC,
                                     const at::Tensor& tokens_BT,
                                     const DropoutSite& dropout,
                                     at::Tensor& dwte_VC,
                                     at::Tensor& dwpe_TC) {
    const std::int64_t tokens = tokens_BT.size(1);
    at::Tensor rows = dout_NC.to(at::kFloat);
    if (dropout.probability > 0.0) {
        rows = at::empty_like(rows);
        dropout_backward(dout_NC, dropout, rows);
    }
    // Accumulating index_put_ sorts by index on a GPU and goes in order on a CPU: a fixed order.
    dwte_VC.index_put_({tokens_BT.flatten().to(at::kLong)}, rows, true);
    dwpe_TC.narrow(0, 0, tokens)
        .add_(rows.view({tokens_BT.size(0), tokens, dout_NC.size(1)})
                  .sum(std::array<std::int64_t, 1>{0}));
}

void AtenKernels::cross_entropy_in_place(at::Tensor& logits_NV,
                                         const at::Tensor& targets_N,
                                         std::int64_t vocab_size,
                                         double gradient_scale,
                                         at::Tensor& loss_sum) {
    const std::int64_t padding = logits_NV.size(1) - vocab_size;
    at::Tensor shifted = logits_NV.narrow(1, 0, vocab_size).to(at::kFloat, false, true);
    const at::Tensor counted = targets_N.ge(0).unsqueeze(1);
    const at::Tensor target = targets_N.clamp_min(0).to(at::kLong).unsqueeze(1);
    shifted.sub_(at::logsumexp(shifted, {1}, true));
    const at::Tensor nats = shifted.gather(1, target).neg_().to(at::kDouble).mul_(counted);
    loss_sum.add_(nats.sum());
    shifted.exp_();
    shifted.scatter_(1, target, shifted.gather(1, target).sub_(1.0));
    shifted.mul_(counted.to(at::kFloat).mul_(gradient_scale));
    logits_NV.narrow(1, 0, vocab_size).copy_(shifted);
    logits_NV.narrow(1, vocab_size, padding).zero_();
}

void AtenKernels::cross_entropy_loss(const at::Tensor& logits_NV,
                                     const at::Tensor& targets_N,
                                     std::int64_t vocab_size,
                                     at::Tensor& loss_sum) {
    const at::Tensor logits = logits_NV.narrow(1, 0, vocab_size).to(at::kFloat);
    const at::Tensor target = targets_N.clamp_min(0).to(at::kLong).unsqueeze(1);
    const at::Tensor nats = at::logsumexp(logits, {1}, true).sub_(logits.gather(1, target));
    loss_sum.add_(nats.to(at::kDouble).mul_(targets_N.ge(0).unsqueeze(1)).sum());
}

void AtenKernels::cast_to_bf16(const at::Tensor& from, at::Tensor& to) {
    to.view_as(from).copy_(from);
}

std::unique_ptr<Kernels> make_aten_kernels(at::Device device) {
    return std::make_unique<AtenKernels>(device);
}

}  // namespace holdfast::kernels
