#include "kernels/cross_entropy_loops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/vector_math.h"

namespace holdfast::kernels {
namespace {

constexpr std::int64_t kBlockColumns = 2048;
constexpr float kLowest = -std::numeric_limits<float>::infinity();

[[gnu::always_inline]] inline float element(const float* from) {
    return *from;
}
[[gnu::always_inline]] inline float element(const Bf16Bits* from) {
    return std::bit_cast<float>(std::uint32_t{*from} << 16U);
}

template <typename T>
[[gnu::always_inline]] inline float largest_logit(const T* logits, std::int64_t vocab_size) {
    // Two chains hide the latency of the comparison.
    Floats first = broadcast(kLowest);
    Floats second = first;
    std::int64_t i = 0;
    for (; i + 2 * kLanes <= vocab_size; i += 2 * kLanes) {
        const Floats a = load(logits + i);
        const Floats b = load(logits + i + kLanes);
        first = a > first ? a : first;
        second = b > second ? b : second;
    }
    for_lanes(
        vocab_size - i, [&](std::int64_t j, auto extent) __attribute__((always_inline)) {
            const Floats a = load(logits + i + j, extent, kLowest);
            first = a > first ? a : first;
        });
    return largest_of(first > second ? first : second);
}

template <typename T>
[[gnu::always_inline]] inline RowSoftmax row(const T* logits,
                                             std::int64_t vocab_size,
                                             std::int64_t target) {
    RowSoftmax softmax;
    softmax.largest = largest_logit(logits, vocab_size);
    const float largest = softmax.largest;
    for (std::int64_t first = 0; first < vocab_size; first += kBlockColumns) {
        const std::int64_t count = std::min(kBlockColumns, vocab_size - first);
        Floats sum = {};
        for_lanes(
            count, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
                // A lane past the end is minus infinity: its exponential is 0.
                sum += vector_exp(load(logits + first + i, extent, kLowest) - largest);
            });
        softmax.exp_sum += static_cast<double>(sum_of(sum));
    }
    softmax.nats = std::log(softmax.exp_sum) + static_cast<double>(largest) -
                   static_cast<double>(element(logits + target));
    return softmax;
}

template <typename T>
[[gnu::always_inline]] inline void gradient(T* logits,
                                            std::int64_t vocab_size,
                                            std::int64_t target,
                                            const RowSoftmax& softmax,
                                            double scale) {
    const float largest = softmax.largest;
    const auto factor = static_cast<float>(scale / softmax.exp_sum);
    Floats at_target = vector_exp(broadcast(element(logits + target) - largest));
    at_target = at_target * factor - static_cast<float>(scale);
    for_lanes(
        vocab_size, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
            store(logits + i, extent, vector_exp(load(logits + i, extent) - largest) * factor);
        });
    store_first(logits + target, 1, at_target);
}

}  // namespace

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] RowSoftmax
cross_entropy_row_loop(const float* logits, std::int64_t vocab_size, std::int64_t target) {
    return row(logits, vocab_size, target);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void
cross_entropy_gradient_row_loop(float* logits,
                                std::int64_t vocab_size,
                                std::int64_t target,
                                const RowSoftmax& softmax,
                                double scale) {
    gradient(logits, vocab_size, target, softmax, scale);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] RowSoftmax
cross_entropy_row_loop(const Bf16Bits* logits, std::int64_t vocab_size, std::int64_t target) {
    return row(logits, vocab_size, target);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void
cross_entropy_gradient_row_loop(Bf16Bits* logits,
                                std::int64_t vocab_size,
                                std::int64_t target,
                                const RowSoftmax& softmax,
                                double scale) {
    gradient(logits, vocab_size, target, softmax, scale);
}

}  // namespace holdfast::kernels
