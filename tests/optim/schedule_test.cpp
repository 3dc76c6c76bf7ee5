#include "optim/schedule.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::optim {
namespace {

constexpr double kPeak = 6e-4;
constexpr double kMinimum = 6e-5;

ScheduleConfig config_of(ScheduleKind kind) {
    return {.kind = kind, .steps = 100, .warmup_steps = 10, .min_learning_rate = kMinimum};
}

class EveryKind : public testing::TestWithParam<ScheduleKind> {};
class FallingKind : public testing::TestWithParam<ScheduleKind> {};

TEST_P(EveryKind, RisesLinearlyFromTheFirstStepToThePeakAtTheLastOfTheWarmUp) {
    const ScheduleConfig config = config_of(GetParam());
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 1), kPeak / 10);
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 5), kPeak / 2);
    EXPECT_EQ(learning_rate_at(config, kPeak, 10), kPeak);
}

TEST_P(EveryKind, NeverRisesAfterTheWarmUpAndStaysWithinItsBounds) {
    const ScheduleConfig config = config_of(GetParam());
    double before = kPeak;
    for (std::int64_t step = 11; step <= 300; ++step) {
        const double rate = learning_rate_at(config, kPeak, step);
        EXPECT_LE(rate, before) << step;
        EXPECT_GE(rate, kMinimum) << step;
        before = rate;
    }
}

TEST_P(FallingKind, TakesTheLastStepOfTheHorizonAndAllBeyondAtTheMinimum) {
    const ScheduleConfig config = config_of(GetParam());
    EXPECT_GT(learning_rate_at(config, kPeak, 99), kMinimum);
    EXPECT_EQ(learning_rate_at(config, kPeak, 100), kMinimum);
    EXPECT_EQ(learning_rate_at(config, kPeak, 101), kMinimum);
    EXPECT_EQ(learning_rate_at(config, kPeak, 1'000'000'000), kMinimum);
}

TEST_P(FallingKind, MayWarmUpOverTheWholeHorizon) {
    ScheduleConfig config = config_of(GetParam());
    config.warmup_steps = config.steps;
    ASSERT_TRUE(config.validate(kPeak).ok());
    EXPECT_EQ(learning_rate_at(config, kPeak, 100), kPeak);
    EXPECT_EQ(learning_rate_at(config, kPeak, 101), kMinimum);
}

TEST_P(FallingKind, TakesTheOnlyStepOfAHorizonOfOneAtTheMinimum) {
    ScheduleConfig config = config_of(GetParam());
    config.steps = 1;
    config.warmup_steps = 0;
    EXPECT_EQ(learning_rate_at(config, kPeak, 1), kMinimum);
}

TEST(Schedule, CosineFollowsItsFormula) {
    const ScheduleConfig config = config_of(ScheduleKind::kCosine);
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 55), (kPeak + kMinimum) / 2);
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 25),
                     kMinimum + (kPeak - kMinimum) * (1 + std::cos(std::numbers::pi / 6)) / 2);
}

TEST(Schedule, LinearFallsByTheSameAmountEveryStep) {
    const ScheduleConfig config = config_of(ScheduleKind::kLinear);
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 40), kMinimum + (kPeak - kMinimum) * 2 / 3);
    EXPECT_NEAR(learning_rate_at(config, kPeak, 50) - learning_rate_at(config, kPeak, 51),
                (kPeak - kMinimum) / 90,
                1e-15);
}

TEST(Schedule, WsdStaysAtThePeakUntilItsLastFifth) {
    const ScheduleConfig config = config_of(ScheduleKind::kWsd);
    EXPECT_EQ(learning_rate_at(config, kPeak, 80), kPeak);
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 85), kMinimum + (kPeak - kMinimum) * 15 / 20);
}

TEST(Schedule, WsdWhoseWarmUpReachesIntoTheLastFifthFallsFromItsEnd) {
    ScheduleConfig config = config_of(ScheduleKind::kWsd);
    config.warmup_steps = 90;
    EXPECT_EQ(learning_rate_at(config, kPeak, 90), kPeak);
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 95), (kPeak + kMinimum) / 2);
}

TEST(Schedule, ConstantNeverFalls) {
    ScheduleConfig config = config_of(ScheduleKind::kConstant);
    EXPECT_EQ(learning_rate_at(config, kPeak, 100), kPeak);
    EXPECT_EQ(learning_rate_at(config, kPeak, 1000), kPeak);
    config.steps = 0;
    EXPECT_TRUE(config.validate(kPeak).ok());
}

TEST(Schedule, WithoutWarmUpStartsBelowThePeakByOneStepOnly) {
    ScheduleConfig config = config_of(ScheduleKind::kLinear);
    config.warmup_steps = 0;
    EXPECT_DOUBLE_EQ(learning_rate_at(config, kPeak, 1), kMinimum + (kPeak - kMinimum) * 0.99);
}

TEST(Schedule, RefusesWhatCannotBeWithTheKeyAndTheValue) {
    const auto refusal = [](const ScheduleConfig& config) {
        const base::Status status = config.validate(kPeak);
        return status.ok() ? std::string() : status.error().what;
    };
    ScheduleConfig config = config_of(ScheduleKind::kCosine);
    EXPECT_EQ(refusal(config), "");
    config.steps = 0;
    EXPECT_THAT(refusal(config), testing::HasSubstr("schedule.steps is 0"));
    config.steps = 9;
    EXPECT_THAT(refusal(config), testing::HasSubstr("schedule.warmup_steps is 10"));
    config = config_of(ScheduleKind::kCosine);
    config.warmup_steps = -1;
    EXPECT_THAT(refusal(config), testing::HasSubstr("schedule.warmup_steps is -1"));
    config = config_of(ScheduleKind::kCosine);
    config.min_learning_rate = 0.1;
    EXPECT_THAT(refusal(config), testing::HasSubstr("schedule.min_learning_rate is 0.1"));
    config.min_learning_rate = std::nan("");
    EXPECT_THAT(refusal(config), testing::HasSubstr("schedule.min_learning_rate is nan"));
}

constexpr auto kKindName = [](const testing::TestParamInfo<ScheduleKind>& kind) -> std::string {
    constexpr const char* kNames[] = {"cosine", "linear", "constant", "wsd"};
    return kNames[static_cast<int>(kind.param)];
};
INSTANTIATE_TEST_SUITE_P(Schedule,
                         EveryKind,
                         testing::Values(ScheduleKind::kCosine,
                                         ScheduleKind::kLinear,
                                         ScheduleKind::kConstant,
                                         ScheduleKind::kWsd),
                         kKindName);
INSTANTIATE_TEST_SUITE_P(Schedule,
                         FallingKind,
                         testing::Values(ScheduleKind::kCosine,
                                         ScheduleKind::kLinear,
                                         ScheduleKind::kWsd),
                         kKindName);

}  // namespace
}  // namespace holdfast::optim
