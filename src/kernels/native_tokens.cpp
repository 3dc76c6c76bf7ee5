// The part of NativeKernels that meets tokens: embedding, cross-entropy, and the cast of the
// weights.
#include <algorithm>

#include "base/check.h"
#include "kernels/cross_entropy_loops.h"
#include "kernels/embedding_loops.h"
#include "kernels/native_kernels.h"
#include "kernels/sum_loops.h"
#include "kernels/tensor_memory.h"

namespace holdfast::kernels {
namespace {

EmbeddingPlan plan_of(const at::Tensor& tokens_BT,
                      const DropoutSite& dropout,
                      std::int64_t channels,
                      const MaskSource& mask) {
    EmbeddingPlan plan;
    plan.tokens = read<std::int32_t>(tokens_BT);
    plan.rows = tokens_BT.numel();
    plan.sequence_tokens = tokens_BT.size(1);
    plan.channels = channels;
    plan.mask = dropout.probability > 0.0 ? &mask : nullptr;
    plan.first_sequence_index = dropout.first_sequence_index;
    return plan;
}

void add_in_order(const std::vector<double>& row_nats, at::Tensor& loss_sum) {
    double* sum = write<double>(loss_sum);
    for (const double nats : row_nats) {
        *sum += nats;
    }
}

}  // namespace

void NativeKernels::embedding_forward(const at::Tensor& tokens_BT,
                                      const at::Tensor& wte_VC,
                                      const at::Tensor& wpe_TC,
                                      const DropoutSite& dropout,
                                      at::Tensor& out_NC) {
    HF_CHECK(tokens_BT.size(1) <= wpe_TC.size(0), "{} positions", tokens_BT.size(1));
    by_element(out_NC, [&](auto element) {
        using T = decltype(element);
        const T* wte = read<T>(wte_VC);
        const T* wpe = read<T>(wpe_TC);
        T* out = write<T>(out_NC);
        const MaskSource mask(dropout);
        const EmbeddingPlan plan = plan_of(tokens_BT, dropout, out_NC.size(1), mask);
        parallel_rows(plan.rows, plan.channels, [&](std::int64_t begin, std::int64_t end) {
            embedding_forward_loop(plan, wte, wpe, out, begin, end);
        });
    });
}

void NativeKernels::embedding_backward(const at::Tensor& dout_NC,
                                       const at::Tensor& tokens_BT,
                                       const DropoutSite& dropout,
                                       at::Tensor& dwte_VC,
                                       at::Tensor& dwpe_TC) {
    static_assert(kColumnsPerTask == kMaskGroupColumns);
    by_element(dout_NC, [&](auto element) {
        using T = decltype(element);
        const T* dout = read<T>(dout_NC);
        float* dwte = write<float>(dwte_VC);
        float* dwpe = write<float>(dwpe_TC);
        const MaskSource mask(dropout);
        const EmbeddingPlan plan = plan_of(tokens_BT, dropout, dout_NC.size(1), mask);
        parallel_columns(plan.rows, plan.channels, [&](std::int64_t begin, std::int64_t end) {
            embedding_backward_loop(plan,
                                    dout,
                                    dwte,
                                    dwpe,
                                    begin / kMaskGroupColumns,
                                    (end + kMaskGroupColumns - 1) / kMaskGroupColumns);
        });
    });
}

void NativeKernels::cross_entropy_in_place(at::Tensor& logits_NV,
                                           const at::Tensor& targets_N,
                                           std::int64_t vocab_size,
                                           double gradient_scale,
                                           at::Tensor& loss_sum) {
    const std::int64_t rows = logits_NV.size(0);
    const std::int64_t columns = logits_NV.size(1);
    const auto* targets = read<std::int32_t>(targets_N);
    row_nats_.assign(static_cast<std::size_t>(rows), 0.0);
    by_element(logits_NV, [&](auto element) {
        using T = decltype(element);
        T* logits = write<T>(logits_NV);
        parallel_rows(rows, columns, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                T* values = logits + row * columns;
                // A row that does not count, and the padding of one that does: all zero bits.
                const std::int64_t kept = targets[row] < 0 ? 0 : vocab_size;
                if (kept > 0) {
                    const RowSoftmax softmax =
                        cross_entropy_row_loop(values, vocab_size, targets[row]);
                    cross_entropy_gradient_row_loop(
                        values, vocab_size, targets[row], softmax, gradient_scale);
                    row_nats_[static_cast<std::size_t>(row)] = softmax.nats;
                }
                std::fill(values + kept, values + columns, T{});
            }
        });
    });
    add_in_order(row_nats_, loss_sum);
}

void NativeKernels::cross_entropy_loss(const at::Tensor& logits_NV,
                                       const at::Tensor& targets_N,
                                       std::int64_t vocab_size,
                                       at::Tensor& loss_sum) {
    const std::int64_t rows = logits_NV.size(0);
    const std::int64_t columns = logits_NV.size(1);
    const auto* targets = read<std::int32_t>(targets_N);
    row_nats_.assign(static_cast<std::size_t>(rows), 0.0);
    by_element(logits_NV, [&](auto element) {
        using T = decltype(element);
        const T* logits = read<T>(logits_NV);
        parallel_rows(rows, columns, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                if (targets[row] >= 0) {
                    row_nats_[static_cast<std::size_t>(row)] =
                        cross_entropy_row_loop(logits + row * columns, vocab_size, targets[row])
                            .nats;
                }
            }
        });
    });
    add_in_order(row_nats_, loss_sum);
}

void NativeKernels::cast_to_bf16(const at::Tensor& from, at::Tensor& to) {
    HF_CHECK(from.numel() == to.numel(), "cast of {} into {}", from.numel(), to.numel());
    const float* source = read<float>(from);
    Bf16Bits* target = write<Bf16Bits>(to);
    parallel_elements(from.numel(), [=](std::int64_t begin, std::int64_t end) {
        cast_loop(source + begin, target + begin, end - begin);
    });
}

std::unique_ptr<Kernels> make_kernels(at::Device device) {
    if (device.is_cpu()) {
        return std::make_unique<NativeKernels>(preferred_fp32_products());
    }
    return make_aten_kernels(device);
}

}  // namespace holdfast::kernels
