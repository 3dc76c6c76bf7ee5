#include "dist/rank_end.h"

#include <signal.h>

#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

ChildEnd exited(int code) {
    return {false, code};
}
ChildEnd killed(int signal_number) {
    return {true, signal_number};
}

const StopRecord kNoStop;

StopRecord stopped_by(std::vector<int> signals) {
    return {std::move(signals), false};
}

TEST(RankEnd, WithoutAStopOnlyZeroIsOrderly) {
    EXPECT_TRUE(is_orderly(exited(0), kNoStop));
    for (const int code : {1, 2, 3, 4, 5, 75, 130, 143, 129}) {
        EXPECT_FALSE(is_orderly(exited(code), kNoStop)) << code;
    }
    EXPECT_FALSE(is_orderly(killed(SIGTERM), kNoStop));
    EXPECT_FALSE(is_orderly(killed(SIGKILL), kNoStop));
}

TEST(RankEnd, AfterAStopTheCodesOfAStopAreOrderly) {
    for (const int code : {0, 75, 130, 143}) {
        EXPECT_TRUE(is_orderly(exited(code), stopped_by({SIGTERM}))) << code;
    }
    for (const int code : {1, 4, 5, 129, 139}) {
        EXPECT_FALSE(is_orderly(exited(code), stopped_by({SIGTERM}))) << code;
    }
    EXPECT_TRUE(is_orderly(exited(129), stopped_by({SIGHUP})));
}

TEST(RankEnd, ASignalThatWasPassedOnMayKill) {
    EXPECT_TRUE(is_orderly(killed(SIGTERM), stopped_by({SIGTERM})));
    EXPECT_FALSE(is_orderly(killed(SIGINT), stopped_by({SIGTERM})));
    EXPECT_FALSE(is_orderly(killed(SIGSEGV), stopped_by({SIGTERM})));
    EXPECT_FALSE(is_orderly(killed(SIGKILL), stopped_by({SIGTERM, SIGTERM})));
    EXPECT_TRUE(is_orderly(killed(SIGKILL), {{SIGTERM, SIGTERM}, true}));
}

TEST(RankEnd, MapsToADocumentedExitCode) {
    EXPECT_EQ(exit_code_of(exited(0), kNoStop), 0);
    EXPECT_EQ(exit_code_of(exited(5), kNoStop), 5);
    EXPECT_EQ(exit_code_of(killed(SIGSEGV), kNoStop), 1);
    EXPECT_EQ(exit_code_of(killed(SIGKILL), kNoStop), 1);
    EXPECT_EQ(exit_code_of(exited(143), stopped_by({SIGTERM})), 143);
    EXPECT_EQ(exit_code_of(killed(SIGTERM), stopped_by({SIGTERM})), 143);
    EXPECT_EQ(exit_code_of(killed(SIGINT), stopped_by({SIGINT})), 130);
    EXPECT_EQ(exit_code_of(killed(SIGHUP), stopped_by({SIGHUP})), 75);
    EXPECT_EQ(exit_code_of(killed(SIGKILL), stopped_by({SIGTERM})), 1);
    EXPECT_EQ(exit_code_of(killed(SIGKILL), {{SIGINT, SIGTERM}, true}), 130);
    EXPECT_EQ(exit_code_of(killed(SIGSEGV), stopped_by({SIGTERM})), 1);
}

TEST(RankEnd, IsToldInWords) {
    EXPECT_EQ(in_words({3, 4711, killed(SIGSEGV), 12}),
              "rank 3 (process 4711) was killed by SIGSEGV 12s after its start");
    EXPECT_EQ(in_words({0, 7, exited(5), 0.82}),
              "rank 0 (process 7) ended with exit code 5 (out of memory) 0.8s after its start");
    EXPECT_EQ(in_words({1, 7, exited(42), 185}),
              "rank 1 (process 7) ended with exit code 42 3m05s after its start");
    EXPECT_EQ(in_words({2, 7, killed(SIGKILL), 1}),
              "rank 2 (process 7) was killed by SIGKILL 1.0s after its start (nobody here sent it; "
              "the system does when memory runs out)");
    EXPECT_EQ(signal_name(40), "signal 40");
}

}  // namespace
}  // namespace holdfast::dist
