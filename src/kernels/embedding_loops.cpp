#include "kernels/embedding_loops.h"

#include <algorithm>

#include "kernels/mask_lanes.h"

namespace holdfast::kernels {
namespace {

[[gnu::always_inline]] inline MaskRow mask_row(const EmbeddingPlan& plan, std::int64_t row) {
    return {plan.first_sequence_index + row / plan.sequence_tokens, 0, row % plan.sequence_tokens};
}

template <typename T>
[[gnu::always_inline]] inline void forward(const EmbeddingPlan& plan,
                                           const T* wte,
                                           const T* wpe,
                                           T* out,
                                           std::int64_t row_begin,
                                           std::int64_t row_end) {
    const std::int64_t channels = plan.channels;
    for (std::int64_t row = row_begin; row < row_end; ++row) {
        const T* token = wte + plan.tokens[row] * channels;
        const T* position = wpe + row % plan.sequence_tokens * channels;
        T* to = out + row * channels;
        if (plan.mask == nullptr) {
            for_lanes(
                channels, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
                    store(to + i, extent, load(token + i, extent) + load(position + i, extent));
                });
        } else {
            for_masked_lanes(
                *plan.mask,
                mask_row(plan, row),
                channels,
                [=](std::int64_t i, auto extent, Floats factor) __attribute__((always_inline)) {
                    const Floats sum = load(token + i, extent) + load(position + i, extent);
                    store(to + i, extent, sum * factor);
                });
        }
    }
}

template <typename T>
[[gnu::always_inline]] inline void accumulate_columns(
    const T* from, float* token, float* position, std::int64_t count, const Floats* factors) {
    for_lanes(
        count, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
            Floats gradient = load(from + i, extent);
            if (factors != nullptr) {
                gradient *= factors[i / kLanes];
            }
            store(token + i, extent, load(token + i, extent) + gradient);
            store(position + i, extent, load(position + i, extent) + gradient);
        });
}

template <typename T>
[[gnu::always_inline]] inline void backward(const EmbeddingPlan& plan,
                                            const T* dout,
                                            float* dwte,
                                            float* dwpe,
                                            std::int64_t group_begin,
                                            std::int64_t group_end) {
    const std::int64_t channels = plan.channels;
    for (std::int64_t row = 0; row < plan.rows; ++row) {
        const std::int64_t token = plan.tokens[row] * channels;
        const std::int64_t position = row % plan.sequence_tokens * channels;
        for (std::int64_t group = group_begin; group < group_end; ++group) {
            const std::int64_t column = group * kMaskGroupColumns;
            const std::int64_t count = std::min(kMaskGroupColumns, channels - column);
            const T* from = dout + row * channels + column;
            float* to_token = dwte + token + column;
            float* to_position = dwpe + position + column;
            if (plan.mask == nullptr) {
                accumulate_columns(from, to_token, to_position, count, nullptr);
            } else {
                const auto factors = mask_factors(*plan.mask, mask_row(plan, row), group);
                accumulate_columns(from, to_token, to_position, count, factors.data());
            }
        }
    }
}

}  // namespace

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void embedding_forward_loop(
    const EmbeddingPlan& plan,
    const float* wte,
    const float* wpe,
    float* out,
    std::int64_t row_begin,
    std::int64_t row_end) {
    forward(plan, wte, wpe, out, row_begin, row_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void embedding_backward_loop(
    const EmbeddingPlan& plan,
    const float* dout,
    float* dwte,
    float* dwpe,
    std::int64_t group_begin,
    std::int64_t group_end) {
    backward(plan, dout, dwte, dwpe, group_begin, group_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void embedding_forward_loop(
    const EmbeddingPlan& plan,
    const Bf16Bits* wte,
    const Bf16Bits* wpe,
    Bf16Bits* out,
    std::int64_t row_begin,
    std::int64_t row_end) {
    forward(plan, wte, wpe, out, row_begin, row_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void embedding_backward_loop(
    const EmbeddingPlan& plan,
    const Bf16Bits* dout,
    float* dwte,
    float* dwpe,
    std::int64_t group_begin,
    std::int64_t group_end) {
    backward(plan, dout, dwte, dwpe, group_begin, group_end);
}

}  // namespace holdfast::kernels
