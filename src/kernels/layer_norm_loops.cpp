#include "kernels/layer_norm_loops.h"

#include <algorithm>
#include <cmath>

#include "kernels/vector_lanes.h"

namespace holdfast::kernels {
namespace {

constexpr float kEpsilon = 1e-5F;

// Lanes past the end of a row must not count in a sum.
[[gnu::always_inline]] inline Floats only_first(Floats values, Whole /*extent*/) {
    return values;
}
[[gnu::always_inline]] inline Floats only_first(Floats values, Rest extent) {
    float lanes[kLanes];
    store(lanes, values);
    return load_first(lanes, extent.count, 0.0F);
}

template <typename T>
[[gnu::always_inline]] inline void forward(const NormInput<T>& input,
                                           const T* beta,
                                           T* out,
                                           float* mean,
                                           float* rstd,
                                           std::int64_t row_begin,
                                           std::int64_t row_end) {
    const std::int64_t channels = input.channels;
    const T* gamma = input.gamma;
    const float per_channel = 1.0F / static_cast<float>(channels);
    for (std::int64_t row = row_begin; row < row_end; ++row) {
        const T* x = input.x + row * channels;
        T* to = out + row * channels;
        Floats sum = {};
        for_lanes(
            channels, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
                sum += load(x + i, extent);
            });
        const float centre = sum_of(sum) * per_channel;
        Floats squares = {};
        for_lanes(
            channels, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
                const Floats distance = only_first(load(x + i, extent) - centre, extent);
                squares += distance * distance;
            });
        const float inverse = 1.0F / std::sqrt(sum_of(squares) * per_channel + kEpsilon);
        for_lanes(
            channels, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
                const Floats normal = (load(x + i, extent) - centre) * inverse;
                const Floats shift = beta == nullptr ? Floats{} : load(beta + i, extent);
                store(to + i, extent, normal * load(gamma + i, extent) + shift);
            });
        mean[row] = centre;
        rstd[row] = inverse;
    }
}

template <typename T>
[[gnu::always_inline]] inline void backward(const NormInput<T>& input,
                                            const T* dout,
                                            const float* mean,
                                            const float* rstd,
                                            T* dresidual,
                                            std::int64_t row_begin,
                                            std::int64_t row_end) {
    const std::int64_t channels = input.channels;
    const T* gamma = input.gamma;
    const float per_channel = 1.0F / static_cast<float>(channels);
    for (std::int64_t row = row_begin; row < row_end; ++row) {
        const T* x = input.x + row * channels;
        const T* from = dout + row * channels;
        T* to = dresidual + row * channels;
        const float centre = mean[row];
        const float inverse = rstd[row];
        Floats sum = {};
        Floats product_sum = {};
        for_lanes(
            channels, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
                // Lanes past the end hold a gradient of 0 and so add nothing.
                const Floats dnormal = load(from + i, extent) * load(gamma + i, extent);
                sum += dnormal;
                product_sum += dnormal * ((load(x + i, extent) - centre) * inverse);
            });
        const float dnormal_mean = sum_of(sum) * per_channel;
        const float product_mean = sum_of(product_sum) * per_channel;
        for_lanes(
            channels, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
                const Floats dnormal = load(from + i, extent) * load(gamma + i, extent);
                const Floats normal = (load(x + i, extent) - centre) * inverse;
                const Floats dx = (dnormal - dnormal_mean - normal * product_mean) * inverse;
                store(to + i, extent, load(to + i, extent) + dx);
            });
    }
}

template <typename T>
[[gnu::always_inline]] inline void weight_gradient(const NormInput<T>& input,
                                                   const T* dout,
                                                   const float* mean,
                                                   const float* rstd,
                                                   std::int64_t rows,
                                                   float* dgamma,
                                                   float* dbeta,
                                                   std::int64_t column_begin,
                                                   std::int64_t column_end) {
    const std::int64_t channels = input.channels;
    const T* x = input.x;
    for_lanes(
        column_end - column_begin, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
            const std::int64_t column = column_begin + i;
            Floats gamma_sum = {};
            Floats beta_sum = {};
            for (std::int64_t first = 0; first < rows; first += kColumnBlockRows) {
                Floats gamma_block = {};
                Floats beta_block = {};
                const std::int64_t last = std::min(first + kColumnBlockRows, rows);
                for (std::int64_t row = first; row < last; ++row) {
                    const std::int64_t at = row * channels + column;
                    const Floats gradient = load(dout + at, extent);
                    gamma_block += gradient * ((load(x + at, extent) - mean[row]) * rstd[row]);
                    beta_block += gradient;
                }
                gamma_sum += gamma_block;
                beta_sum += beta_block;
            }
            store(dgamma + column, extent, load(dgamma + column, extent) + gamma_sum);
            if (dbeta != nullptr) {
                store(dbeta + column, extent, load(dbeta + column, extent) + beta_sum);
            }
        });
}

}  // namespace

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void norm_forward_loop(
    const NormInput<float>& input,
    const float* beta,
    float* out,
    float* mean,
    float* rstd,
    std::int64_t row_begin,
    std::int64_t row_end) {
    forward(input, beta, out, mean, rstd, row_begin, row_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void norm_backward_loop(
    const NormInput<float>& input,
    const float* dout,
    const float* mean,
    const float* rstd,
    float* dresidual,
    std::int64_t row_begin,
    std::int64_t row_end) {
    backward(input, dout, mean, rstd, dresidual, row_begin, row_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void
norm_weight_gradient_loop(const NormInput<float>& input,
                          const float* dout,
                          const float* mean,
                          const float* rstd,
                          std::int64_t rows,
                          float* dgamma,
                          float* dbeta,
                          std::int64_t column_begin,
                          std::int64_t column_end) {
    weight_gradient(input, dout, mean, rstd, rows, dgamma, dbeta, column_begin, column_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void norm_forward_loop(
    const NormInput<Bf16Bits>& input,
    const Bf16Bits* beta,
    Bf16Bits* out,
    float* mean,
    float* rstd,
    std::int64_t row_begin,
    std::int64_t row_end) {
    forward(input, beta, out, mean, rstd, row_begin, row_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void norm_backward_loop(
    const NormInput<Bf16Bits>& input,
    const Bf16Bits* dout,
    const float* mean,
    const float* rstd,
    Bf16Bits* dresidual,
    std::int64_t row_begin,
    std::int64_t row_end) {
    backward(input, dout, mean, rstd, dresidual, row_begin, row_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void
norm_weight_gradient_loop(const NormInput<Bf16Bits>& input,
                          const Bf16Bits* dout,
                          const float* mean,
                          const float* rstd,
                          std::int64_t rows,
                          float* dgamma,
                          float* dbeta,
                          std::int64_t column_begin,
                          std::int64_t column_end) {
    weight_gradient(input, dout, mean, rstd, rows, dgamma, dbeta, column_begin, column_end);
}

}  // namespace holdfast::kernels
