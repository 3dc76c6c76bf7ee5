// The table of compute kernels: what a transformer's layers are made of, on one device.
//
// Two implementations stand behind it: native_kernels (our CPU loops and libtorch products) and
// aten_kernels (libtorch operations alone, on any device; the oracle of the first). Nothing here
// knows of GPT, of steps or of arenas.
//
// Legend: N rows (batch x time), B sequences, T tokens, C channels, I in, O out, H heads, D head
// size, V columns of the logits (padded). Activations and weights are fp32 or all bf16; gradients
// of weights are fp32 and accumulated (+=); statistics (mean, rstd, lse) are fp32. Every output is
// given by the caller, contiguous unless said, and on the kernels' device. Calls of one object
// belong to one thread; on a GPU they only enqueue work. With the same thread count
// (at::set_num_threads) the same call gives the same bits. Shapes are the caller's promise
// (HF_CHECK).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <ATen/core/Tensor.h>

#include "base/result.h"
#include "kernels/dropout_site.h"

namespace holdfast::kernels {

// What attention keeps from forward to backward. Forward sets the members: a kernel that makes its
// own result replaces what stood there, any other writes into a defined tensor and makes an
// undefined one. So read the result from here, and give tensors of the call's shape or none.
struct AttentionMemory {
    at::Tensor out;    // [B, T, C] as returned
    at::Tensor lse;    // log-sum-exp of the rows, as the device's kernel wants it back
    at::Tensor rng_a;  // a GPU kernel's own random state, undefined on a CPU
    at::Tensor rng_b;
};

class Kernels {
public:
    Kernels() = default;
    virtual ~Kernels() = default;
    Kernels(const Kernels&) = delete;
    Kernels& operator=(const Kernels&) = delete;
    Kernels(Kernels&&) = delete;
    Kernels& operator=(Kernels&&) = delete;

    [[nodiscard]] virtual at::Device device() const = 0;
    [[nodiscard]] virtual const char* name()
        const = 0;  // stored with a run: another set gives other bits

    // out_NO = x_NI weight_OI^T (+ bias_O, undefined: none).
    virtual void linear_forward(const at::Tensor& x_NI,
                                const at::Tensor& weight_OI,
                                const at::Tensor& bias_O,
                                at::Tensor& out_NO) = 0;
    // dx_NI = dout_NO weight_OI.
    virtual void linear_backward_input(const at::Tensor& dout_NO,
                                       const at::Tensor& weight_OI,
                                       at::Tensor& dx_NI) = 0;
    // dweight_OI += dout_NO^T x_NI; dbias_O += column sums of dout (undefined: none). In bf16 a
    // backend without a product into fp32 rounds the product once before it is added.
    virtual void linear_backward_weight(const at::Tensor& dout_NO,
                                        const at::Tensor& x_NI,
                                        at::Tensor& dweight_OI,
                                        at::Tensor& dbias_O) = 0;

    // Ba, Kiros, Hinton, "Layer normalization", arXiv:1607.06450; epsilon 1e-5. beta may be
    // undefined.
    virtual void layer_norm_forward(const at::Tensor& x_NC,
                                    const at::Tensor& gamma_C,
                                    const at::Tensor& beta_C,
                                    at::Tensor& out_NC,
                                    at::Tensor& mean_N,
                                    at::Tensor& rstd_N) = 0;
    // dresidual_NC += gradient of x; dgamma_C += ..., dbeta_C += ... (undefined: none).
    virtual void layer_norm_backward(const at::Tensor& dout_NC,
                                     const at::Tensor& x_NC,
                                     const at::Tensor& gamma_C,
                                     const at::Tensor& mean_N,
                                     const at::Tensor& rstd_N,
                                     at::Tensor& dresidual_NC,
                                     at::Tensor& dgamma_C,
                                     at::Tensor& dbeta_C) = 0;

    // The tanh form of Hendrycks and Gimpel, "Gaussian error linear units", arXiv:1606.08415.
    virtual void gelu_forward(const at::Tensor& x, at::Tensor& out) = 0;
    // dout becomes the gradient of x, in place.
    virtual void gelu_backward(const at::Tensor& x, at::Tensor& dout) = 0;

    // Causal multi-head attention. qkv_BTC3 is [B, T, 3C]: q, k, v side by side, heads inside each.
    // memory.out is what the projection takes. `dropout` with probability > 0 drops attention
    // weights.
    virtual void attention_forward(const at::Tensor& qkv_BTC3,
                                   std::int64_t head_count,
                                   const DropoutSite& dropout,
                                   AttentionMemory& memory) = 0;
    // dqkv_BTC3 is overwritten.
    virtual void attention_backward(const at::Tensor& dout_BTC,
                                    const at::Tensor& qkv_BTC3,
                                    std::int64_t head_count,
                                    const DropoutSite& dropout,
                                    const AttentionMemory& memory,
                                    at::Tensor& dqkv_BTC3) = 0;

    // out = residual + dropout(branch); out may be residual. Probability 0 is a plain addition.
    virtual void dropout_add(const at::Tensor& residual_NC,
                             const at::Tensor& branch_NC,
                             const DropoutSite& dropout,
                             at::Tensor& out_NC) = 0;
    // dbranch = dropout's backward of dout (a copy for probability 0).
    virtual void dropout_backward(const at::Tensor& dout_NC,
                                  const DropoutSite& dropout,
                                  at::Tensor& dbranch_NC) = 0;

    // out_NC = wte[token] + wpe[time], then dropout. tokens_BT is int32 on the device, and so
    // are targets_N below; each is below the number of rows, or below vocab_size.
    virtual void embedding_forward(const at::Tensor& tokens_BT,
                                   const at::Tensor& wte_VC,
                                   const at::Tensor& wpe_TC,
                                   const DropoutSite& dropout,
                                   at::Tensor& out_NC) = 0;
    // dwte[token] += row, dwpe[time] += row, rows in a fixed order. dout_NC is before dropout's
    // backward.
    virtual void embedding_backward(const at::Tensor& dout_NC,
                                    const at::Tensor& tokens_BT,
                                    const DropoutSite& dropout,
                                    at::Tensor& dwte_VC,
                                    at::Tensor& dwpe_TC) = 0;

    // Cross-entropy of `logits_NV` over the first `vocab_size` columns; loss_sum (fp64 scalar) +=
    // the sum of nats, rows added in a fixed order. Target -1 counts nothing. The logits become
    // their gradient times `gradient_scale`, in place; columns from vocab_size on become 0.
    virtual void cross_entropy_in_place(at::Tensor& logits_NV,
                                        const at::Tensor& targets_N,
                                        std::int64_t vocab_size,
                                        double gradient_scale,
                                        at::Tensor& loss_sum) = 0;
    // The loss alone; the logits are not changed.
    virtual void cross_entropy_loss(const at::Tensor& logits_NV,
                                    const at::Tensor& targets_N,
                                    std::int64_t vocab_size,
                                    at::Tensor& loss_sum) = 0;

    // bf16 from fp32, round to nearest even; same number of elements.
    virtual void cast_to_bf16(const at::Tensor& from, at::Tensor& to) = 0;
};

// Our loops on a CPU; everything by libtorch on any other device.
std::unique_ptr<Kernels> make_kernels(at::Device device);
// libtorch alone.
std::unique_ptr<Kernels> make_aten_kernels(at::Device device);

// Compares every kernel of `device` (make_kernels) with libtorch's on the CPU, in both dtypes.
// kInvalid names the kernel and the largest difference found. Well under a second on a CPU; may
// throw what the device throws.
base::Status self_check(at::Device device);

}  // namespace holdfast::kernels
