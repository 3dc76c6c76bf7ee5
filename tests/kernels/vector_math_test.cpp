#include "kernels/vector_math.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace holdfast::kernels {
namespace {

// By memory: vectors do not pass function boundaries here.
[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void exp_of(const float* x,
                                                                                  float* out) {
    store(out, vector_exp(load(x)));
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void logistic_of(
    const float* x, float* out) {
    store(out, vector_logistic(load(x)).value);
}

void rounded(const float* x, Bf16Bits* out) {
    store(out, load(x));
}

TEST(VectorMath, ExpIsWithinTwoTenMillionths) {
    double worst = 0.0;
    float x[kLanes];
    float out[kLanes];
    for (double base = -87.0; base < 88.0; base += 0.0041) {
        for (std::int64_t lane = 0; lane < kLanes; ++lane) {
            x[lane] =
                std::min(88.0F, static_cast<float>(base + 0.00025 * static_cast<double>(lane)));
        }
        exp_of(x, out);
        for (std::int64_t lane = 0; lane < kLanes; ++lane) {
            const double expected = std::exp(static_cast<double>(x[lane]));
            worst = std::max(worst, std::abs(static_cast<double>(out[lane]) / expected - 1.0));
        }
    }
    EXPECT_LT(worst, 2e-7);
}

TEST(VectorMath, ExpHasItsEdges) {
    const float inf = std::numeric_limits<float>::infinity();
    const float x[kLanes] = {
        -inf, -87.5F, -1000.0F, 0.0F, 88.0F, 100.0F, inf, std::nanf(""), -0.0F};
    float out[kLanes];
    exp_of(x, out);
    EXPECT_EQ(out[0], 0.0F);
    EXPECT_EQ(out[1], 0.0F);
    EXPECT_EQ(out[2], 0.0F);
    EXPECT_EQ(out[3], 1.0F);
    EXPECT_EQ(out[5], out[4]);
    EXPECT_EQ(out[6], out[4]);
    EXPECT_TRUE(std::isnan(out[7]));
    EXPECT_EQ(out[8], 1.0F);
}

TEST(VectorMath, LogisticIsExactAtZeroAndSaturates) {
    const float x[kLanes] = {0.0F, 50.0F, -50.0F, 3.0F};
    float out[kLanes];
    logistic_of(x, out);
    EXPECT_EQ(out[0], 0.5F);
    EXPECT_EQ(out[1], 1.0F);
    EXPECT_NEAR(out[2] / std::exp(-50.0), 1.0, 1e-6);
    EXPECT_NEAR(out[3], 1.0 / (1.0 + std::exp(-3.0)), 2e-7);
}

TEST(VectorLanes, Bf16RoundsToNearestEven) {
    // 1 + k / 256 lies halfway between bf16 neighbours for odd k.
    const float x[kLanes] = {1.0F,
                             1.0F + 1.0F / 256.0F,
                             1.0F + 3.0F / 256.0F,
                             1.0F + 1.01F / 256.0F,
                             std::nanf(""),
                             std::numeric_limits<float>::infinity(),
                             -0.0F,
                             std::numeric_limits<float>::max()};
    Bf16Bits out[kLanes];
    rounded(x, out);
    EXPECT_EQ(out[0], 0x3F80);
    EXPECT_EQ(out[1], 0x3F80);
    EXPECT_EQ(out[2], 0x3F82);
    EXPECT_EQ(out[3], 0x3F81);
    EXPECT_EQ(out[4], 0x7FC0);
    EXPECT_EQ(out[5], 0x7F80);
    EXPECT_EQ(out[6], 0x8000);
    EXPECT_EQ(out[7], 0x7F80);
}

}  // namespace
}  // namespace holdfast::kernels
