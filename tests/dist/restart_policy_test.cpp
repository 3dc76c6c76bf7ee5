#include "dist/restart_policy.h"

#include <signal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

using testing::HasSubstr;

FailedAttempt attempt_with(ChildEnd end, int restart_count, double uptime_seconds = 1000) {
    return {RankEnd{2, 100, end, uptime_seconds}, 4, restart_count};
}

FailedAttempt crash(int restart_count, double uptime_seconds = 1000) {
    return attempt_with({true, SIGSEGV}, restart_count, uptime_seconds);
}

LaunchConfig config_of_four() {
    LaunchConfig config;
    config.nproc_per_node = 4;
    config.max_restarts = 10;
    return config;
}

TEST(RestartPolicy, StartsAsManyAgainUntilTheRestartsAreUsedUp) {
    LaunchConfig config = config_of_four();
    config.max_restarts = 2;
    RestartPolicy policy(config, {});
    EXPECT_EQ(policy.decide(crash(0), {}).rank_count, 4);
    EXPECT_EQ(policy.decide(crash(1), {}).rank_count, 4);
    const RestartDecision decision = policy.decide(crash(2), {});
    EXPECT_EQ(decision.rank_count, std::nullopt);
    EXPECT_EQ(decision.reason, "no restart is left of --max-restarts 2");
}

TEST(RestartPolicy, SaysNothingWhereNoRestartWasAskedFor) {
    LaunchConfig config = config_of_four();
    config.max_restarts = 0;
    RestartPolicy policy(config, {});
    const RestartDecision decision = policy.decide(crash(0), {});
    EXPECT_EQ(decision.rank_count, std::nullopt);
    EXPECT_EQ(decision.reason, "");
}

TEST(RestartPolicy, SomeExitCodesAreFinal) {
    const LaunchConfig config = config_of_four();
    for (const int code : {0, 2, 3, 130, 143}) {
        RestartPolicy policy(config, {});
        const RestartDecision decision = policy.decide(attempt_with({false, code}, 0), {});
        EXPECT_EQ(decision.rank_count, std::nullopt) << code;
        EXPECT_THAT(decision.reason, HasSubstr(std::to_string(code)));
    }
    for (const int code : {1, 4, 5, 42, 75, 127}) {
        RestartPolicy policy(config, {});
        EXPECT_EQ(policy.decide(attempt_with({false, code}, 0), {}).rank_count, 4) << code;
    }
}

TEST(RestartPolicy, AStopThatWasPassedOnIsFinal) {
    const LaunchConfig config = config_of_four();
    RestartPolicy policy(config, {});
    const RestartDecision decision =
        policy.decide(attempt_with({false, 75}, 0), StopRecord{{SIGHUP}, false});
    EXPECT_EQ(decision.rank_count, std::nullopt);
    EXPECT_EQ(decision.reason, "no restart after SIGHUP");
}

TEST(RestartPolicy, ACrashLoopStops) {
    LaunchConfig config = config_of_four();
    config.crash_loop_count = 3;
    config.crash_loop_seconds = 60;
    RestartPolicy policy(config, {});
    EXPECT_EQ(policy.decide(crash(0, 5), {}).rank_count, 4);
    EXPECT_EQ(policy.decide(crash(1, 60), {}).rank_count, 4);
    const RestartDecision decision = policy.decide(crash(2, 5), {});
    EXPECT_EQ(decision.rank_count, std::nullopt);
    EXPECT_THAT(decision.reason, HasSubstr("the last 3 starts failed within 1m00s"));
}

TEST(RestartPolicy, ALongAttemptEndsTheCountOfQuickFailures) {
    LaunchConfig config = config_of_four();
    config.crash_loop_count = 3;
    RestartPolicy policy(config, {});
    EXPECT_TRUE(policy.decide(crash(0, 5), {}).rank_count);
    EXPECT_TRUE(policy.decide(crash(1, 5), {}).rank_count);
    EXPECT_TRUE(policy.decide(crash(2, 61), {}).rank_count);
    EXPECT_TRUE(policy.decide(crash(3, 5), {}).rank_count);
    EXPECT_TRUE(policy.decide(crash(4, 5), {}).rank_count);
    EXPECT_FALSE(policy.decide(crash(5, 5), {}).rank_count);
}

TEST(RestartPolicy, TakesTheLargestValidCountThatIsAvailable) {
    LaunchConfig config = config_of_four();
    config.valid_rank_counts = {1, 2, 4, 8};
    int available = 3;
    int asked = 0;
    RestartPolicy policy(config, [&](const FailedAttempt& attempt) {
        asked = attempt.failure.rank;
        return available;
    });
    EXPECT_EQ(policy.decide(crash(0), {}).rank_count, 2);
    EXPECT_EQ(asked, 2);
    available = 100;
    EXPECT_EQ(policy.decide(crash(1), {}).rank_count, 4) << "never more than at the start";
    available = 0;
    const RestartDecision decision = policy.decide(crash(2), {});
    EXPECT_EQ(decision.rank_count, std::nullopt);
    EXPECT_EQ(
        decision.reason,
        "no restart: 0 ranks could run, and no valid count (1, 2, 4, 8) is between --min-ranks 1 "
        "and that");
}

TEST(RestartPolicy, NeverGoesBelowTheFewestWanted) {
    LaunchConfig config = config_of_four();
    config.valid_rank_counts = {1, 2, 4};
    config.min_ranks = 2;
    int available = 2;
    RestartPolicy policy(config, [&](const FailedAttempt&) { return available; });
    EXPECT_EQ(policy.decide(crash(0), {}).rank_count, 2);
    available = 1;
    EXPECT_EQ(policy.decide(crash(1), {}).rank_count, std::nullopt);
}

TEST(RestartPolicy, OnSeveralNodesTheNumberStays) {
    LaunchConfig config = config_of_four();
    config.nnodes = 2;
    config.valid_rank_counts = {1, 2, 4, 8};
    int available = 4;
    RestartPolicy policy(config, [&](const FailedAttempt&) { return available; });
    EXPECT_EQ(policy.decide(crash(0), {}).rank_count, 4);
    available = 2;
    const RestartDecision decision = policy.decide(crash(1), {});
    EXPECT_EQ(decision.rank_count, std::nullopt);
    EXPECT_THAT(decision.reason, HasSubstr("2 ranks could run here, and the other nodes expect 4"));
}

TEST(RestartPolicy, ChoosesAnyNumberWhereAllAreValid) {
    EXPECT_EQ(choose_rank_count(3, {}, 1), 3);
    EXPECT_EQ(choose_rank_count(0, {}, 1), std::nullopt);
    EXPECT_EQ(choose_rank_count(3, {4}, 1), std::nullopt);
    EXPECT_EQ(choose_rank_count(3, {2, 3}, 3), 3);
}

}  // namespace
}  // namespace holdfast::dist
