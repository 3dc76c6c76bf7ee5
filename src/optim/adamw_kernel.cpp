// Compiled without fused multiply-add (see CMakeLists.txt): a vector body and its scalar tail then
// round alike, so an element's bits do not depend on where a stretch begins or which clone runs.
#include "optim/adamw_kernel.h"

#include <bit>
#include <cmath>

namespace holdfast::optim {
namespace {

inline std::uint16_t round_to_bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
    const bool is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
    return static_cast<std::uint16_t>(is_nan ? 0x7FC0U : rounded);
}

// Inlined into each clone below, so it is compiled for that clone's vectors. Two flags known at
// compile time keep the loop free of branches.
template <bool kCopy, bool kZero>
[[gnu::always_inline]] inline void update_loop(const AdamWStretch& stretch,
                                               const AdamWScalars& scalars) {
    float* __restrict master = stretch.master;
    float* __restrict first = stretch.first_moment;
    float* __restrict second = stretch.second_moment;
    float* __restrict gradient = stretch.gradient;
    std::uint16_t* __restrict copy = stretch.compute_copy;
    const AdamWScalars s = scalars;
    for (std::int64_t i = 0; i < stretch.count; ++i) {
        const float g = gradient[i] * s.gradient_factor;
        const float m = first[i] + s.one_minus_beta1 * (g - first[i]);
        const float v = s.beta2 * second[i] + s.one_minus_beta2 * (g * g);
        const float denominator = std::sqrt(v) / s.sqrt_correction2 + s.epsilon;
        const float p = master[i] * s.keep - s.step_size * (m / denominator);
        first[i] = m;
        second[i] = v;
        master[i] = p;
        if constexpr (kCopy) {
            copy[i] = round_to_bf16(p);
        }
        if constexpr (kZero) {
            gradient[i] = 0.0F;
        }
    }
}

}  // namespace

[[gnu::target_clones("default", "avx2", "avx512f")]] void adamw_update(const AdamWStretch& stretch,
                                                                       const AdamWScalars& scalars,
                                                                       bool zero_gradient) {
    if (stretch.compute_copy != nullptr) {
        if (zero_gradient) {
            update_loop<true, true>(stretch, scalars);
        } else {
            update_loop<true, false>(stretch, scalars);
        }
    } else if (zero_gradient) {
        update_loop<false, true>(stretch, scalars);
    } else {
        update_loop<false, false>(stretch, scalars);
    }
}

std::uint16_t bf16_bits(float value) {
    return round_to_bf16(value);
}

}  // namespace holdfast::optim
