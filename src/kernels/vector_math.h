// exp and the logistic function on sixteen lanes.
//
// exp: x = n ln 2 + r with |r| <= ln 2 / 2, then the Taylor polynomial of degree 7 (truncation
// below 6e-9 of the value) and a shift of the exponent. Relative error against fp64 below 2e-7 for
// -87 <= x <= 88 (tests/kernels/vector_math_test.cpp); above 88 it stays at exp(88), below -87 it
// is 0, NaN stays NaN.
#pragma once

#include "kernels/vector_lanes.h"

namespace holdfast::kernels {

[[gnu::always_inline]] inline Floats vector_exp(Floats x) {
    constexpr float kLog2E = 1.44269504F;
    // ln 2 in two parts: the products n * upper are exact.
    constexpr float kLn2Upper = 0.693359375F;
    constexpr float kLn2Lower = -2.12194440e-4F;
    // Adding this rounds to an integer, which then stands in the lowest bits.
    constexpr float kRounder = 12582912.0F;

    const Floats high = broadcast(88.0F);
    const Floats low = broadcast(-87.0F);
    Floats clamped = x > high ? high : x;
    clamped = clamped < low ? low : clamped;

    const Floats shifted = clamped * kLog2E + kRounder;
    const Floats n = shifted - kRounder;
    const Floats r = (clamped - n * kLn2Upper) - n * kLn2Lower;
    Floats p = broadcast(1.0F / 5040.0F);
    p = p * r + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    const Words power = (bits_of(shifted) + (127U - 0x4B400000U)) << 23U;
    const Floats value = p * floats_of(power);
    return x < low ? Floats{} : value;
}

// 1 / (1 + exp(-x)) and 1 minus it, each to its own precision.
struct Logistic {
    Floats value;
    Floats rest;
};

[[gnu::always_inline]] inline Logistic vector_logistic(Floats x) {
    const Floats power = vector_exp(-x);
    const Floats value = 1.0F / (1.0F + power);
    return {value, power * value};
}

}  // namespace holdfast::kernels
