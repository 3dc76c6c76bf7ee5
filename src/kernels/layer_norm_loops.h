// Layer norm over rows and over columns: fp32 inside, whatever the elements are.
//
// A row's statistics are sums over lanes in a fixed order, variance about the mean found first. A
// column's sums run over blocks of kColumnBlockRows rows that are then added in order. Pointers of
// beta and dbeta may be null.
#pragma once

#include <cstdint>

#include "kernels/bf16_bits.h"

namespace holdfast::kernels {

inline constexpr std::int64_t kColumnBlockRows = 64;

// One layer norm: x is [rows, channels] contiguous.
template <typename T>
struct NormInput {
    const T* x = nullptr;
    const T* gamma = nullptr;
    std::int64_t channels = 0;
};

// Rows [row_begin, row_end).
void norm_forward_loop(const NormInput<float>& input,
                       const float* beta,
                       float* out,
                       float* mean,
                       float* rstd,
                       std::int64_t row_begin,
                       std::int64_t row_end);
void norm_forward_loop(const NormInput<Bf16Bits>& input,
                       const Bf16Bits* beta,
                       Bf16Bits* out,
                       float* mean,
                       float* rstd,
                       std::int64_t row_begin,
                       std::int64_t row_end);

// dresidual += gradient of x, rows [row_begin, row_end).
void norm_backward_loop(const NormInput<float>& input,
                        const float* dout,
                        const float* mean,
                        const float* rstd,
                        float* dresidual,
                        std::int64_t row_begin,
                        std::int64_t row_end);
void norm_backward_loop(const NormInput<Bf16Bits>& input,
                        const Bf16Bits* dout,
                        const float* mean,
                        const float* rstd,
                        Bf16Bits* dresidual,
                        std::int64_t row_begin,
                        std::int64_t row_end);

// dgamma += , dbeta += over all `rows`, columns [column_begin, column_end).
void norm_weight_gradient_loop(const NormInput<float>& input,
                               const float* dout,
                               const float* mean,
                               const float* rstd,
                               std::int64_t rows,
                               float* dgamma,
                               float* dbeta,
                               std::int64_t column_begin,
                               std::int64_t column_end);
void norm_weight_gradient_loop(const NormInput<Bf16Bits>& input,
                               const Bf16Bits* dout,
                               const float* mean,
                               const float* rstd,
                               std::int64_t rows,
                               float* dgamma,
                               float* dbeta,
                               std::int64_t column_begin,
                               std::int64_t column_end);

}  // namespace holdfast::kernels
