#include "train/straggler_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::train {
namespace {

using testing::HasSubstr;

// The last answer of as many steps as are looked at together.
std::optional<std::string> after_steps(StragglerWatch& watch,
                                       const std::vector<double>& seconds,
                                       double now_seconds) {
    for (std::int64_t i = 1; i < StragglerWatch::kSteps; ++i) {
        EXPECT_FALSE(watch.note(seconds, now_seconds).has_value());
    }
    return watch.note(seconds, now_seconds);
}

TEST(StragglerWatch, ASlowRankIsNamed) {
    StragglerWatch watch;
    const auto line = after_steps(watch, {1.0, 1.0, 1.5, 1.1}, 0);
    ASSERT_TRUE(line.has_value());
    EXPECT_THAT(*line, HasSubstr("rank 2 is slow"));
    EXPECT_THAT(*line,
                HasSubstr("computed 1500.0 ms a step over the last 20 steps, the others 1000.0"));
    StragglerWatch of_two;
    EXPECT_THAT(after_steps(of_two, {2.0, 1.0}, 0).value(), HasSubstr("rank 0 is slow"));
}

TEST(StragglerWatch, EqualRanksAndASlowStepAreNot) {
    StragglerWatch watch;
    EXPECT_FALSE(after_steps(watch, {1.0, 1.2, 1.1, 1.0}, 0).has_value());
    EXPECT_FALSE(watch.note({1.0, 3.0}, 0).has_value()) << "one step";
    StragglerWatch alone;
    EXPECT_FALSE(after_steps(alone, {5.0}, 0).has_value());
}

TEST(StragglerWatch, TheSameRankIsNotNamedAgainSoon) {
    StragglerWatch watch;
    EXPECT_TRUE(after_steps(watch, {1.0, 1.0, 2.0}, 0).has_value());
    EXPECT_FALSE(after_steps(watch, {1.0, 1.0, 2.0}, 60).has_value());
    EXPECT_TRUE(after_steps(watch, {1.0, 2.0, 1.0}, 70).has_value()) << "another one";
    EXPECT_TRUE(
        after_steps(watch, {1.0, 2.0, 1.0}, 71 + StragglerWatch::kQuietSeconds).has_value());
}

}  // namespace
}  // namespace holdfast::train
