#include "telemetry/disk_trend.h"

#include <cerrno>
#include <cmath>

#include <gmock/gmock.h>

namespace holdfast::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
constexpr double kMinute = 60;
constexpr double kHour = 3600;

// A disk of 100 GiB: percent and GiB are the same number.
fs::SpaceStatus used(std::uint64_t percent) {
    return {.total_bytes = 100 * kGiB, .available_bytes = (100 - percent) * kGiB};
}

class DiskTrendTest : public ::testing::Test {
protected:
    // The text told, "-" for none.
    std::string add(double seconds, std::uint64_t percent) {
        const auto message = trend_.add(seconds, used(percent));
        return message ? message->text : "-";
    }
    DiskTrend trend_{"checkpoints/x", {}};
};

TEST_F(DiskTrendTest, ToldWhenALevelIsReached) {
    EXPECT_EQ(add(0, 69), "-");
    const auto warned = trend_.add(1, used(70));
    ASSERT_TRUE(warned);
    EXPECT_EQ(warned->level, DiskLevel::kWarn);
    EXPECT_EQ(warned->text,
              "the disk of checkpoints/x is 70 % full: 30.0 GiB of 100 GiB free; delete something "
              "or lower checkpoint.keep");
    EXPECT_EQ(add(2, 71), "-");
    const auto alerted = trend_.add(3, used(90));
    ASSERT_TRUE(alerted);
    EXPECT_EQ(alerted->level, DiskLevel::kAlert);
}

TEST_F(DiskTrendTest, TheAlarmDoesNotWaitForTheWarningToAge) {
    EXPECT_THAT(add(0, 89), HasSubstr("89 % full"));
    EXPECT_THAT(add(1, 90), HasSubstr("90 % full"));
}

TEST_F(DiskTrendTest, ToldAgainWhenFivePointsFuller) {
    EXPECT_NE(add(0, 71), "-");
    EXPECT_EQ(add(1, 75), "-");
    EXPECT_THAT(add(2, 76), HasSubstr("76 % full"));
    EXPECT_EQ(add(3, 80), "-");
    EXPECT_THAT(add(4, 81), HasSubstr("81 % full"));
}

TEST_F(DiskTrendTest, ElseAtMostOnceAnHour) {
    EXPECT_NE(add(0, 71), "-");
    for (double minutes = 10; minutes < 60; minutes += 10) {
        EXPECT_EQ(add(minutes * kMinute, 71), "-") << minutes;
    }
    EXPECT_NE(add(kHour, 71), "-");
    EXPECT_EQ(add(kHour + 50 * kMinute, 71), "-");
}

TEST_F(DiskTrendTest, CrossingToAndFroIsToldOnce) {
    EXPECT_NE(add(0, 91), "-");
    for (int i = 1; i < 10; ++i) {
        EXPECT_EQ(add(2 * i, 69), "-");
        EXPECT_EQ(add(2 * i + 1, 91), "-");
    }
}

TEST(DiskTrend, ZeroSwitchesALevelOff) {
    DiskTrend only_alert("x", {.warn_percent = 0, .alert_percent = 90});
    EXPECT_FALSE(only_alert.add(0, used(89)));
    EXPECT_EQ(only_alert.add(1, used(90))->level, DiskLevel::kAlert);
    DiskTrend only_warn("x", {.warn_percent = 70, .alert_percent = 0});
    EXPECT_EQ(only_warn.add(0, used(100))->level, DiskLevel::kWarn);
    EXPECT_FALSE((DiskThresholds{.warn_percent = 0, .alert_percent = 0}.any()));
    EXPECT_TRUE(DiskThresholds{}.any());
}

TEST(DiskTrend, APercentIsToldWhenItIsReachedAndNotBefore) {
    DiskTrend trend("x", {});
    EXPECT_FALSE(trend.add(0, {.total_bytes = 10000, .available_bytes = 3001}));
    EXPECT_THAT(trend.add(1, {.total_bytes = 10000, .available_bytes = 2010})->text,
                HasSubstr("79 % full"));
}

TEST(DiskTrend, ADiskOfNoBytesIsNotFull) {
    EXPECT_FALSE(DiskTrend("x", {}).add(0, {}));
}

TEST_F(DiskTrendTest, GrowthAndForecastComeFromTheHistory) {
    for (std::uint64_t i = 0; i < 6; ++i) {
        EXPECT_EQ(add(static_cast<double>(i) * 30 * kMinute, 64 + i), "-");
    }
    EXPECT_NEAR(trend_.growth_an_hour().value(), 2.0 * kGiB, 1.0);
    EXPECT_THAT(add(3 * kHour, 70),
                HasSubstr(": 30.0 GiB of 100 GiB free, filling by 2.00 GiB an hour, full in about "
                          "15 hours;"));
}

TEST_F(DiskTrendTest, AFewMinutesSayNothingOfGrowth) {
    EXPECT_EQ(add(0, 10), "-");
    EXPECT_THAT(add(9 * kMinute, 75), Not(HasSubstr("hour")));
    EXPECT_FALSE(trend_.growth_an_hour());
    EXPECT_THAT(add(10 * kMinute, 90), HasSubstr("an hour, full in about 2 minutes"));
}

TEST_F(DiskTrendTest, SavesAndDeletionsAreNoGrowth) {
    // A save puts 5 GiB there, its deletion takes them away.
    for (int i = 0; i < 18; ++i) {
        add(i * 10 * kMinute, i % 2 == 0 ? 40 : 45);
    }
    EXPECT_LT(std::abs(trend_.growth_an_hour().value()), 0.5 * kGiB);
}

TEST_F(DiskTrendTest, ADiskThatEmptiesHasNoForecast) {
    EXPECT_EQ(add(0, 60), "-");
    EXPECT_EQ(add(kHour, 50), "-");
    add(2 * kHour, 40);
    EXPECT_LT(trend_.growth_an_hour().value(), 0);
    DiskTrend full("x", {});
    EXPECT_TRUE(full.add(0, used(89)));
    EXPECT_THAT(full.add(kHour, used(80))->text, Not(HasSubstr("an hour")));
}

TEST_F(DiskTrendTest, AForecastFarAwayIsLeftOut) {
    EXPECT_TRUE(trend_.add(0, {.total_bytes = 100 * kGiB, .available_bytes = 20 * kGiB}));
    const auto message =
        trend_.add(kHour, {.total_bytes = 100 * kGiB, .available_bytes = 20 * kGiB - 4096});
    EXPECT_THAT(message->text, HasSubstr("filling by 4.00 KiB an hour; delete"));
}

TEST_F(DiskTrendTest, OnlyTheLastThreeHoursCount) {
    for (std::uint64_t i = 0; i <= 30; ++i) {
        add(static_cast<double>(i) * 10 * kMinute, 10 + i);
    }
    for (std::uint64_t i = 31; i <= 50; ++i) {
        add(static_cast<double>(i) * 10 * kMinute, 40);
    }
    EXPECT_NEAR(trend_.growth_an_hour().value(), 0, 1);
}

TEST_F(DiskTrendTest, AnUnreadablePathIsToldOnceARow) {
    const base::Error error = base::error_from_errno("look at the space of", "checkpoints/x", EIO);
    const auto message = trend_.fail(error);
    ASSERT_TRUE(message);
    EXPECT_THAT(message->text, HasSubstr("checkpoints/x"));
    EXPECT_FALSE(trend_.fail(error));
    EXPECT_EQ(add(0, 10), "-");
    EXPECT_TRUE(trend_.fail(error));
}

}  // namespace
}  // namespace holdfast::telemetry
