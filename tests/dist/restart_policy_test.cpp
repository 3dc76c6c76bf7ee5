#include "dist/restart_policy.h"

#include <algorithm>

#include <signal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

FailedAttempt attempt_with(ChildEnd end, int restart_count, double uptime_seconds = 1000) {
    return {RankEnd{2, 100, end, uptime_seconds}, {}, {0, 1, 2, 3}, restart_count};
}

FailedAttempt crash(int restart_count, double uptime_seconds = 1000) {
    return attempt_with({true, SIGSEGV}, restart_count, uptime_seconds);
}

LaunchConfig config_of_four() {
    LaunchConfig config;
    config.nproc_per_node = 4;
    config.max_restarts = 10;
    config.min_ranks = 4;
    return config;
}

TEST(RestartPolicy, StartsAsManyAgainUntilTheRestartsAreUsedUp) {
    LaunchConfig config = config_of_four();
    config.max_restarts = 2;
    RestartPolicy policy(config);
    EXPECT_THAT(policy.decide(crash(0), {}).slots, SizeIs(4));
    EXPECT_THAT(policy.decide(crash(1), {}).slots, SizeIs(4));
    const RestartDecision decision = policy.decide(crash(2), {});
    EXPECT_THAT(decision.slots, IsEmpty());
    EXPECT_EQ(decision.reason, "no restart is left of --max-restarts 2");
}

TEST(RestartPolicy, SaysNothingWhereNoRestartWasAskedFor) {
    LaunchConfig config = config_of_four();
    config.max_restarts = 0;
    RestartPolicy policy(config);
    const RestartDecision decision = policy.decide(crash(0), {});
    EXPECT_THAT(decision.slots, IsEmpty());
    EXPECT_EQ(decision.reason, "");
}

TEST(RestartPolicy, SomeExitCodesAreFinal) {
    const LaunchConfig config = config_of_four();
    for (const int code : {0, 2, 3, 130, 143}) {
        RestartPolicy policy(config);
        const RestartDecision decision = policy.decide(attempt_with({false, code}, 0), {});
        EXPECT_THAT(decision.slots, IsEmpty()) << code;
        EXPECT_THAT(decision.reason, HasSubstr(std::to_string(code)));
    }
    for (const int code : {1, 4, 5, 42, 75, 127}) {
        RestartPolicy policy(config);
        EXPECT_THAT(policy.decide(attempt_with({false, code}, 0), {}).slots, SizeIs(4)) << code;
    }
}

TEST(RestartPolicy, AStopThatWasPassedOnIsFinal) {
    const LaunchConfig config = config_of_four();
    RestartPolicy policy(config);
    const RestartDecision decision =
        policy.decide(attempt_with({false, 75}, 0), StopRecord{{SIGHUP}, false});
    EXPECT_THAT(decision.slots, IsEmpty());
    EXPECT_EQ(decision.reason, "no restart after SIGHUP");
}

TEST(RestartPolicy, ACrashLoopStops) {
    LaunchConfig config = config_of_four();
    config.crash_loop_count = 3;
    config.crash_loop_seconds = 60;
    RestartPolicy policy(config);
    EXPECT_THAT(policy.decide(crash(0, 5), {}).slots, SizeIs(4));
    EXPECT_THAT(policy.decide(crash(1, 60), {}).slots, SizeIs(4));
    const RestartDecision decision = policy.decide(crash(2, 5), {});
    EXPECT_THAT(decision.slots, IsEmpty());
    EXPECT_THAT(decision.reason, HasSubstr("the last 3 starts failed within 1m00s"));
}

TEST(RestartPolicy, ALongAttemptEndsTheCountOfQuickFailures) {
    LaunchConfig config = config_of_four();
    config.crash_loop_count = 3;
    RestartPolicy policy(config);
    EXPECT_THAT(policy.decide(crash(0, 5), {}).slots, SizeIs(4));
    EXPECT_THAT(policy.decide(crash(1, 5), {}).slots, SizeIs(4));
    EXPECT_THAT(policy.decide(crash(2, 61), {}).slots, SizeIs(4));
    EXPECT_THAT(policy.decide(crash(3, 5), {}).slots, SizeIs(4));
    EXPECT_THAT(policy.decide(crash(4, 5), {}).slots, SizeIs(4));
    EXPECT_THAT(policy.decide(crash(5, 5), {}).slots, IsEmpty());
}

TEST(RestartPolicy, AnAttemptThatEndedWithItsTimeIsNoFailure) {
    LaunchConfig config = config_of_four();
    config.time_limit_seconds = 7200;
    RestartPolicy policy(config);
    EXPECT_THAT(policy.decide(attempt_with({false, 75}, 0, 7199), {}).slots, SizeIs(4));
    const RestartDecision decision = policy.decide(attempt_with({false, 75}, 1, 7200), {});
    EXPECT_THAT(decision.slots, IsEmpty());
    EXPECT_EQ(decision.reason, "no restart: the time limit of 2h00m is over");
}

// The failure of the rank on a slot, in an attempt on those slots.
FailedAttempt crash_on(int slot, const std::vector<int>& slots, int restart_count) {
    FailedAttempt attempt = crash(restart_count);
    attempt.slots = slots;
    attempt.failure.rank =
        static_cast<int>(std::find(slots.begin(), slots.end(), slot) - slots.begin());
    return attempt;
}

TEST(RestartPolicy, ASlotThatFailsTwiceInARowIsLeftOut) {
    LaunchConfig config = config_of_four();
    config.min_ranks = 1;
    config.valid_rank_counts = {1, 2, 4};
    RestartPolicy policy(config);
    EXPECT_THAT(policy.decide(crash(0), {}).slots, ElementsAre(0, 1, 2, 3));
    const RestartDecision decision = policy.decide(crash(1), {});
    EXPECT_THAT(decision.slots, ElementsAre(0, 1));
    EXPECT_EQ(decision.reason, "what failed the last two starts, slot 2, is left out");
    // What was over is used when another is lost, and the first stays away.
    EXPECT_THAT(policy.decide(crash_on(1, {0, 1}, 2), {}).slots, ElementsAre(0, 1));
    EXPECT_THAT(policy.decide(crash_on(1, {0, 1}, 3), {}).slots, ElementsAre(0, 3));
    EXPECT_THAT(policy.decide(crash_on(3, {0, 3}, 4), {}).slots, ElementsAre(0, 3));
    EXPECT_THAT(policy.decide(crash_on(3, {0, 3}, 5), {}).slots, ElementsAre(0));
}

TEST(RestartPolicy, FailuresOfDifferentSlotsLeaveOutNone) {
    LaunchConfig config = config_of_four();
    config.min_ranks = 1;
    RestartPolicy policy(config);
    int restart_count = 0;
    for (const int slot : {0, 1, 0, 3, 2, 3}) {
        EXPECT_THAT(policy.decide(crash_on(slot, {0, 1, 2, 3}, restart_count++), {}).slots,
                    SizeIs(4));
    }
}

TEST(RestartPolicy, NeverGoesBelowTheFewestWanted) {
    LaunchConfig config = config_of_four();
    config.valid_rank_counts = {1, 2, 4};
    config.min_ranks = 3;
    RestartPolicy policy(config);
    for (int restart_count = 0; restart_count < 3; ++restart_count) {
        const RestartDecision decision = policy.decide(crash(restart_count), {});
        EXPECT_THAT(decision.slots, ElementsAre(0, 1, 2, 3));
        EXPECT_EQ(decision.reason, "");
    }
}

TEST(RestartPolicy, ARankThatWaitedInVainIsNotTheCauseButTheOneThatHadToBeKilled) {
    LaunchConfig config = config_of_four();
    config.min_ranks = 1;
    RestartPolicy policy(config);
    FailedAttempt frozen = attempt_with({false, 75}, 0);
    frozen.killed_ranks = {3};
    EXPECT_THAT(policy.decide(frozen, {}).slots, SizeIs(4));
    frozen.restart_count = 1;
    EXPECT_THAT(policy.decide(frozen, {}).slots, ElementsAre(0, 1, 2));
}

TEST(RestartPolicy, OfOneThatCrashedAndOthersThatHadToBeKilledItIsTheCause) {
    LaunchConfig config = config_of_four();
    config.min_ranks = 1;
    RestartPolicy policy(config);
    FailedAttempt crashed = crash(0);
    crashed.killed_ranks = {0, 1, 3};
    EXPECT_THAT(policy.decide(crashed, {}).slots, SizeIs(4));
    crashed.restart_count = 1;
    EXPECT_THAT(policy.decide(crashed, {}).slots, ElementsAre(0, 1, 3));
}

TEST(RestartPolicy, NoSlotIsToBlameForTheDiskOrForAPeer) {
    LaunchConfig config = config_of_four();
    config.min_ranks = 1;
    for (const int code : {4, 75}) {
        RestartPolicy policy(config);
        for (int restart_count = 0; restart_count < 3; ++restart_count) {
            EXPECT_THAT(policy.decide(attempt_with({false, code}, restart_count), {}).slots,
                        SizeIs(4));
        }
    }
}

TEST(RestartPolicy, OnSeveralNodesTheNumberStays) {
    LaunchConfig config = config_of_four();
    config.min_ranks = 1;
    config.nnodes = 2;
    config.node_rank = 1;
    RestartPolicy policy(config);
    FailedAttempt attempt = crash(0);
    attempt.failure.rank = 6;
    for (; attempt.restart_count < 3; ++attempt.restart_count) {
        EXPECT_THAT(policy.decide(attempt, {}).slots, ElementsAre(0, 1, 2, 3));
    }
}

TEST(RestartPolicy, ChoosesAnyNumberWhereAllAreValid) {
    EXPECT_EQ(choose_rank_count(3, {}, 1), 3);
    EXPECT_EQ(choose_rank_count(0, {}, 1), std::nullopt);
    EXPECT_EQ(choose_rank_count(3, {4}, 1), std::nullopt);
    EXPECT_EQ(choose_rank_count(3, {2, 3}, 3), 3);
}

}  // namespace
}  // namespace holdfast::dist
