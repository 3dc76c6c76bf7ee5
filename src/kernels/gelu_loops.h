// The tanh form of GELU over stretches of elements.
//
// x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3) is x times the logistic function of
// 2 u, which loses nothing where tanh u is close to -1. Error against fp64 in fp32: at most 4e-7
// times |x| for the value, 1.5e-6 for the derivative (tests/kernels/reference_test.cpp). One
// thread's part of a tensor; any cut gives the same bits.
#pragma once

#include <cstdint>

#include "kernels/bf16_bits.h"

namespace holdfast::kernels {

void gelu_forward_loop(const float* x, float* out, std::int64_t count);
void gelu_forward_loop(const Bf16Bits* x, Bf16Bits* out, std::int64_t count);

// dout becomes the gradient of x.
void gelu_backward_loop(const float* x, float* dout, std::int64_t count);
void gelu_backward_loop(const Bf16Bits* x, Bf16Bits* dout, std::int64_t count);

}  // namespace holdfast::kernels
