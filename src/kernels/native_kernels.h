// The kernels of a CPU: our loops, one pass over memory where it can be, and the products of
// cpu_products.h.
//
// Every element or row is computed by one thread in an order that does not depend on how the work
// is cut, so loops give the same bits at any thread count; products and attention keep libtorch's
// promise (the same bits at the same thread count). Scratch grows to the largest call and stays.
#pragma once

#include <vector>

#include "kernels/cpu_products.h"
#include "kernels/kernels.h"

namespace holdfast::kernels {

class NativeKernels : public Kernels {
public:
    explicit NativeKernels(Fp32Products fp32_products) : products_(fp32_products) {}

    [[nodiscard]] at::Device device() const override { return at::Device(at::kCPU); }
    // "native-mkl" or "native-onednn": the fp32 products.
    [[nodiscard]] const char* name() const override;

    void linear_forward(const at::Tensor& x_NI,
                        const at::Tensor& weight_OI,
                        const at::Tensor& bias_O,
                        at::Tensor& out_NO) override;
    void linear_backward_input(const at::Tensor& dout_NO,
                               const at::Tensor& weight_OI,
                               at::Tensor& dx_NI) override;
    void linear_backward_weight(const at::Tensor& dout_NO,
                                const at::Tensor& x_NI,
                                at::Tensor& dweight_OI,
                                at::Tensor& dbias_O) override;
    void layer_norm_forward(const at::Tensor& x_NC,
                            const at::Tensor& gamma_C,
                            const at::Tensor& beta_C,
                            at::Tensor& out_NC,
                            at::Tensor& mean_N,
                            at::Tensor& rstd_N) override;
    void layer_norm_backward(const at::Tensor& dout_NC,
                             const at::Tensor& x_NC,
                             const at::Tensor& gamma_C,
                             const at::Tensor& mean_N,
                             const at::Tensor& rstd_N,
                             at::Tensor& dresidual_NC,
                             at::Tensor& dgamma_C,
                             at::Tensor& dbeta_C) override;
    void gelu_forward(const at::Tensor& x, at::Tensor& out) override;
    void gelu_backward(const at::Tensor& x, at::Tensor& dout) override;
    void attention_forward(const at::Tensor& qkv_BTC3,
                           std::int64_t head_count,
                           const DropoutSite& dropout,
                           AttentionMemory& memory) override;
    void attention_backward(const at::Tensor& dout_BTC,
                            const at::Tensor& qkv_BTC3,
                            std::int64_t head_count,
                            const DropoutSite& dropout,
                            const AttentionMemory& memory,
                            at::Tensor& dqkv_BTC3) override;
    void dropout_add(const at::Tensor& residual_NC,
                     const at::Tensor& branch_NC,
                     const DropoutSite& dropout,
                     at::Tensor& out_NC) override;
    void dropout_backward(const at::Tensor& dout_NC,
                          const DropoutSite& dropout,
                          at::Tensor& dbranch_NC) override;
    void embedding_forward(const at::Tensor& tokens_BT,
                           const at::Tensor& wte_VC,
                           const at::Tensor& wpe_TC,
                           const DropoutSite& dropout,
                           at::Tensor& out_NC) override;
    void embedding_backward(const at::Tensor& dout_NC,
                            const at::Tensor& tokens_BT,
                            const DropoutSite& dropout,
                            at::Tensor& dwte_VC,
                            at::Tensor& dwpe_TC) override;
    void cross_entropy_in_place(at::Tensor& logits_NV,
                                const at::Tensor& targets_N,
                                std::int64_t vocab_size,
                                double gradient_scale,
                                at::Tensor& loss_sum) override;
    void cross_entropy_loss(const at::Tensor& logits_NV,
                            const at::Tensor& targets_N,
                            std::int64_t vocab_size,
                            at::Tensor& loss_sum) override;
    void cast_to_bf16(const at::Tensor& from, at::Tensor& to) override;

private:
    // `count` bf16 elements that live until the next call.
    at::Tensor product_scratch(const at::Tensor& like);

    CpuProducts products_;
    at::Tensor product_scratch_;    // bf16, flat
    std::vector<double> row_nats_;  // of one cross-entropy call
};

}  // namespace holdfast::kernels
