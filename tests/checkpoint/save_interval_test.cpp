#include "checkpoint/save_interval.h"

#include <gtest/gtest.h>

namespace holdfast::checkpoint {
namespace {

TEST(SaveInterval, IsStepsOrATimeWithItsUnit) {
    EXPECT_EQ(parse_save_interval("250"), SaveInterval::of_steps(250));
    EXPECT_EQ(parse_save_interval("1K"), SaveInterval::of_steps(1000));
    EXPECT_EQ(parse_save_interval("0"), SaveInterval::of_steps(0));
    EXPECT_EQ(parse_save_interval("5m"), SaveInterval::of_seconds(300));
    EXPECT_EQ(parse_save_interval("5M"), SaveInterval::of_steps(5000000));
    EXPECT_EQ(parse_save_interval("1h30m"), SaveInterval::of_seconds(5400));
    for (const char* text : {"", "m", "-1", "0s", "5 m", "5x", "1.5", "-5m", "nan", "infs"}) {
        EXPECT_FALSE(parse_save_interval(text)) << text;
    }
}

TEST(SaveInterval, PrintsWhatItReads) {
    for (const char* text : {"250", "0", "5m", "90s", "0.5s"}) {
        EXPECT_EQ(to_string(*parse_save_interval(text)), text);
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
