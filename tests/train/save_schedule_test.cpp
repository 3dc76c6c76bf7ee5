#include "train/save_schedule.h"

#include <gtest/gtest.h>

namespace holdfast::train {
namespace {

using checkpoint::Pool;
using Pools = std::vector<Pool>;

constexpr double kDone = 0.0;
constexpr double kSlow = 2 * kSavePatienceSeconds;

SaveSchedule every(std::int64_t steps, std::int64_t steps_total) {
    return {checkpoint::SaveInterval::of_steps(steps), steps_total, 0.0};
}

TEST(SaveSchedule, SavesAtTheIntervalAtTheLastStepAndAtTheEndOfAnEpoch) {
    const SaveSchedule schedule = every(10, 25);
    EXPECT_EQ(schedule.pools_due(9, false), Pools{});
    EXPECT_EQ(schedule.pools_due(10, false), Pools{Pool::kRolling});
    EXPECT_EQ(schedule.pools_due(12, true), Pools{Pool::kEpoch});
    EXPECT_EQ(schedule.pools_due(20, true), (Pools{Pool::kRolling, Pool::kEpoch}));
    EXPECT_EQ(schedule.pools_due(25, false), Pools{Pool::kRolling});
}

TEST(SaveSchedule, IntervalOfZeroSavesTheLastStepOnly) {
    const SaveSchedule schedule = every(0, 25);
    for (std::int64_t step = 1; step < 25; ++step) {
        EXPECT_EQ(schedule.pools_due(step, false), Pools{}) << step;
    }
    EXPECT_EQ(schedule.pools_due(25, false), Pools{Pool::kRolling});
}

TEST(SaveSchedule, IntervalOfTimeSavesAtTheFirstStepAfterIt) {
    SaveSchedule schedule(checkpoint::SaveInterval::of_seconds(60), 100, 1000.0);
    schedule.note_time(1, 1059.0);
    EXPECT_EQ(schedule.pools_due(1, false), Pools{});
    schedule.note_time(2, 1060.0);
    EXPECT_EQ(schedule.pools_due(2, false), Pools{Pool::kRolling});
    EXPECT_EQ(schedule.decide(2, schedule.pools_due(2, false), kDone), SaveDecision::kSave);
    schedule.note_time(3, 1061.0);
    EXPECT_EQ(schedule.pools_due(3, false), Pools{});
    schedule.note_time(4, 1119.9);
    EXPECT_EQ(schedule.pools_due(4, false), Pools{});
    schedule.note_time(5, 1130.0);
    EXPECT_EQ(schedule.pools_due(5, false), Pools{Pool::kRolling});
}

TEST(SaveSchedule, P5_SaveThatMeetsABusyDiskWaitsUntilTheStepAfter) {
    SaveSchedule schedule = every(10, 100);
    EXPECT_EQ(schedule.decide(10, schedule.pools_due(10, false), kSlow), SaveDecision::kNextStep);
    EXPECT_EQ(schedule.pools_due(11, false), Pools{Pool::kRolling});
    EXPECT_EQ(schedule.decide(11, schedule.pools_due(11, false), kDone), SaveDecision::kSave);
    EXPECT_EQ(schedule.pools_due(12, false), Pools{});
    EXPECT_EQ(schedule.skipped(), 0);
}

TEST(SaveSchedule, P5_SaveIsSkippedAndCountedWhenTheDiskIsBusyAtTheStepAfterToo) {
    SaveSchedule schedule = every(10, 100);
    EXPECT_EQ(schedule.decide(10, schedule.pools_due(10, false), kSlow), SaveDecision::kNextStep);
    EXPECT_EQ(schedule.decide(11, schedule.pools_due(11, false), kSlow), SaveDecision::kSkip);
    EXPECT_EQ(schedule.skipped(), 1);
    EXPECT_EQ(schedule.pools_due(12, false), Pools{});
    EXPECT_EQ(schedule.decide(20, schedule.pools_due(20, false), kDone), SaveDecision::kSave);
}

TEST(SaveSchedule, WithASaveEachStepABusyDiskSkipsEverySecond) {
    SaveSchedule schedule = every(1, 100);
    EXPECT_EQ(schedule.decide(1, schedule.pools_due(1, false), kSlow), SaveDecision::kNextStep);
    EXPECT_EQ(schedule.decide(2, schedule.pools_due(2, false), kSlow), SaveDecision::kSkip);
    EXPECT_EQ(schedule.decide(3, schedule.pools_due(3, false), kSlow), SaveDecision::kNextStep);
    EXPECT_EQ(schedule.skipped(), 1);
}

TEST(SaveSchedule, EndOfAnEpochAndLastStepWaitForTheDisk) {
    SaveSchedule schedule = every(10, 25);
    EXPECT_EQ(schedule.decide(12, schedule.pools_due(12, true), kSlow), SaveDecision::kSave);
    EXPECT_EQ(schedule.decide(20, schedule.pools_due(20, true), kSlow), SaveDecision::kSave);
    EXPECT_EQ(schedule.decide(25, schedule.pools_due(25, false), kSlow), SaveDecision::kSave);
}

TEST(SaveSchedule, SaveThatBeganAMomentAgoIsWaitedFor) {
    SaveSchedule schedule = every(1, 100);
    EXPECT_EQ(schedule.decide(1, schedule.pools_due(1, false), kSavePatienceSeconds / 2),
              SaveDecision::kSave);
    EXPECT_EQ(schedule.skipped(), 0);
}

}  // namespace
}  // namespace holdfast::train
