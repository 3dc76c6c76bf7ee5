#include "train/stop_request.h"

#include <csignal>

#include <unistd.h>

#include <gtest/gtest.h>

namespace holdfast::train {
namespace {

TEST(StopRequest, RemembersTheFirstSignal) {
    const StopRequest stop;
    EXPECT_FALSE(stop.stop_asked());
    std::raise(SIGTERM);
    EXPECT_EQ(stop.signal(), SIGTERM);
    EXPECT_EQ(StopRequest::exit_code_of(*stop.signal()), base::ExitCode::kTerminated);
}

TEST(StopRequestDeathTest, TheSecondSignalEndsTheProcessAtOnce) {
    EXPECT_EXIT(
        {
            const StopRequest stop;
            std::raise(SIGINT);
            std::raise(SIGINT);
        },
        testing::ExitedWithCode(130),
        "");
}

TEST(StopRequest, TheFirstThatASupervisorPassesOnIsNoSecondWish) {
    const StopRequest stop;
    std::raise(SIGTERM);
    ASSERT_EQ(::sigqueue(::getpid(), SIGTERM, {.sival_int = 1}), 0);
    EXPECT_EQ(stop.signal(), SIGTERM);
}

TEST(StopRequestDeathTest, TheSecondThatASupervisorPassesOnEndsTheProcess) {
    EXPECT_EXIT(
        {
            const StopRequest stop;
            ::sigqueue(::getpid(), SIGINT, {.sival_int = 1});
            ::sigqueue(::getpid(), SIGINT, {.sival_int = 2});
        },
        testing::ExitedWithCode(130),
        "");
}

TEST(StopRequest, WhatAnotherRankHeardCountsAsHeardHere) {
    const StopRequest stop;
    StopRequest::ask(SIGHUP);
    EXPECT_EQ(stop.signal(), SIGHUP);
    StopRequest::ask(SIGTERM);
    EXPECT_EQ(stop.signal(), SIGHUP) << "the first counts";
    StopRequest::ask(SIGUSR1);
    EXPECT_TRUE(stop.take_save_request());
}

TEST(StopRequest, UserSignalAsksForASaveOnce) {
    const StopRequest stop;
    std::raise(SIGUSR1);
    EXPECT_TRUE(stop.take_save_request());
    EXPECT_FALSE(stop.take_save_request());
    EXPECT_FALSE(stop.stop_asked());
}

TEST(StopRequest, ASignalThatWasIgnoredStaysIgnored) {
    std::signal(SIGHUP, SIG_IGN);
    {
        const StopRequest stop;
        std::raise(SIGHUP);
        EXPECT_FALSE(stop.stop_asked());
    }
    std::signal(SIGHUP, SIG_DFL);
}

}  // namespace
}  // namespace holdfast::train
