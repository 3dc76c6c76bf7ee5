#include "train/stop_request.h"

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
