// Signals on their way through the supervisor: each reaches each rank once.
#include <cerrno>
#include <set>

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "dist/launched_program.h"
#include "dist/owned_descriptor.h"
#include "dist/signal_handler.h"

namespace holdfast::dist {
namespace {

using testing::HasSubstr;
using testing::Not;

class SupervisorSignal : public testing::TestWithParam<int> {};

TEST_P(SupervisorSignal, ReachesEachRankOnce) {
    const int number = GetParam();
    LaunchedProgram program({"nproc=3", "--", "catch", "signals=1", "exists={dir}/go", "say=over"});
    ASSERT_TRUE(program.wait_for("catching", 3));
    program.send(number);
    const std::string told = fmt::format("got {} value {}", number, number == SIGUSR1 ? 0 : 1);
    ASSERT_TRUE(program.wait_for(told, 3));
    program.make_file("go");
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_EQ(count_of(outcome.out, "got "), 3) << outcome.out;
    for (const char* prefix : {"", "[rank 1] ", "[rank 2] "}) {
        EXPECT_EQ(lines_after(outcome.out, prefix + told).size(), 1U) << outcome.out;
    }
}

std::string name_of_signal(const testing::TestParamInfo<int>& info) {
    return std::string("Number") + std::to_string(info.param);
}

INSTANTIATE_TEST_SUITE_P(Each,
                         SupervisorSignal,
                         testing::Values(SIGINT, SIGTERM, SIGHUP, SIGUSR1),
                         name_of_signal);

TEST(SupervisorSignals, TheSecondOneIsPassedOnToo) {
    LaunchedProgram program({"nproc=2", "kill=1000", "--", "catch", "signals=2", "exit=143"});
    ASSERT_TRUE(program.wait_for("catching", 2));
    program.send(SIGTERM);
    ASSERT_TRUE(program.wait_for("got 15 value 1", 2));
    program.send(SIGTERM);
    ASSERT_TRUE(program.wait_for("got 15 value 2", 2));
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 143);
    EXPECT_EQ(outcome.log, "");
}

TEST(SupervisorSignals, RanksThatIgnoreTheSecondOneAreKilled) {
    LaunchedProgram program({"nproc=2", "kill=0.05", "--", "catch", "forever"});
    ASSERT_TRUE(program.wait_for("catching", 2));
    program.send(SIGINT);
    ASSERT_TRUE(program.wait_for("got 2 value 1", 2));
    program.send(SIGINT);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 130);
    EXPECT_THAT(outcome.log, HasSubstr("SIGKILL to rank 0, rank 1"));
    EXPECT_THAT(outcome.log, Not(HasSubstr("failed first")));
}

TEST(SupervisorSignals, ARankThatSavesAfterTheFirstHasAllTheTimeItNeeds) {
    LaunchedProgram program({"nproc=2",
                             "grace=0",
                             "kill=0",
                             "--",
                             "catch",
                             "signals=1",
                             "1:exit=143",
                             "exists={dir}/go",
                             "say=saved",
                             "exit=143"});
    ASSERT_TRUE(program.wait_for("catching", 2));
    program.send(SIGTERM);
    ASSERT_TRUE(program.wait_for("got 15 value 1", 2));
    program.make_file("go");
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 143);
    EXPECT_THAT(outcome.out, HasSubstr("saved\n"));
    EXPECT_EQ(outcome.log, "");
}

TEST(SupervisorSignals, WhatRanksMakeOfAStopIsTheExitCode) {
    struct Case {
        int signal_number;
        int rank_code;
        int exit_code;
    };
    for (const Case& entry : {Case{SIGTERM, 143, 143},
                              Case{SIGTERM, 75, 75},
                              Case{SIGINT, 130, 130},
                              Case{SIGHUP, 75, 75},
                              Case{SIGTERM, 4, 4},
                              Case{SIGTERM, 0, 0}}) {
        LaunchedProgram program({"nproc=2",
                                 "restarts=5",
                                 "--",
                                 "catch",
                                 "signals=1",
                                 fmt::format("exit={}", entry.rank_code)});
        ASSERT_TRUE(program.wait_for("catching", 2));
        program.send(entry.signal_number);
        const Outcome outcome = program.finish();
        EXPECT_EQ(outcome.exit_code, entry.exit_code);
        EXPECT_EQ(count_of(outcome.out, "catching"), 2) << "no restart after a stop";
    }
}

TEST(SupervisorSignals, ASignalBeforeRanksHaveAHandlerIsAStopToo) {
    for (const auto& [signal_number, code] :
         {std::pair{SIGTERM, 143}, {SIGINT, 130}, {SIGHUP, 75}}) {
        LaunchedProgram program({"nproc=2", "--", "say=early", "sleep=1000"});
        ASSERT_TRUE(program.wait_for("early", 2));
        program.send(signal_number);
        const Outcome outcome = program.finish();
        EXPECT_EQ(outcome.exit_code, code);
        EXPECT_EQ(outcome.log, "");
    }
}

TEST(SupervisorSignals, ARankKilledWhileItSavesIsAFailure) {
    LaunchedProgram program({"nproc=2", "--", "catch", "signals=1", "1:signal=9", "0:exit=143"});
    ASSERT_TRUE(program.wait_for("catching", 2));
    program.send(SIGTERM);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.log, HasSubstr("rank 1 failed first"));
}

TEST(SupervisorSignals, AStopBetweenTwoAttemptsEndsTheRun) {
    LaunchedProgram program({"nproc=2", "restarts=5", "delay=1000", "--", "1:exit=1"});
    ASSERT_TRUE(program.wait_for_log("restart 1 of 5"));
    program.send(SIGTERM);
    EXPECT_EQ(program.finish().exit_code, 143);
}

TEST(SupervisorSignals, AnIgnoredSignalStaysIgnored) {
    LaunchedProgram program({"nproc=2", "--", "ignored=1", "ignored=15", "exists={dir}/go"},
                            [] { set_handler(SIGHUP, SIG_IGN); });
    ASSERT_TRUE(program.wait_for("ignored 15", 2));
    program.send(SIGHUP);
    program.make_file("go");
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(count_of(outcome.out, "ignored 1 yes\n"), 2);
    EXPECT_EQ(count_of(outcome.out, "ignored 15 no\n"), 2);
}

TEST(SupervisorSignals, AStoppedSupervisorStopsItsRanksAndTakesThemAlong) {
    LaunchedProgram program({"nproc=2", "--", "ids", "exists={dir}/go"});
    ASSERT_TRUE(program.wait_for("ids ", 2));
    std::set<pid_t> ranks;
    for (const char* prefix : {"ids ", "[rank 1] ids "}) {
        for (const std::string& ids : lines_after(program.out(), prefix)) {
            ranks.insert(std::stoi(ids));
        }
    }
    ASSERT_EQ(ranks.size(), 2U);
    program.send(SIGTSTP);
    ASSERT_TRUE(program.wait_until_stopped());
    for (const pid_t rank : ranks) {
        while (state_of(rank) != 'T') {
            ASSERT_NE(state_of(rank), '-');
            ::usleep(1000);
        }
    }
    program.send(SIGCONT);
    program.make_file("go");
    EXPECT_EQ(program.finish().exit_code, 0);
}

// A terminal of which the program is the session: its Ctrl+C is a byte.
class Terminal {
public:
    Terminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        EXPECT_EQ(::grantpt(master_.number()), 0);
        EXPECT_EQ(::unlockpt(master_.number()), 0);
        path_ = ::ptsname(master_.number());
        // Held open, so that what was written stays readable after the program has ended.
        screen_ = OwnedDescriptor(::open(path_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
        EXPECT_TRUE(set_non_blocking(master_.number()).ok());
    }

    // In the new process: makes this its terminal and its streams.
    void take_over() const {
        ::setsid();
        const int screen = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
        if (screen < 0 || ::ioctl(screen, TIOCSCTTY, 0) != 0 || ::dup2(screen, 0) < 0 ||
            ::dup2(screen, 1) < 0 || ::dup2(screen, 2) < 0) {
            ::_exit(125);
        }
    }

    void type(char key) const { EXPECT_EQ(::write(master_.number(), &key, 1), 1); }

    // Reads until the screen has shown `text` `count` times.
    void wait_for(const std::string& text, int count) {
        while (count_of(shown(), text) < count) {
            ::usleep(1000);
        }
    }

    const std::string& shown() {
        std::array<char, 4096> buffer{};
        for (;;) {
            const ssize_t bytes = ::read(master_.number(), buffer.data(), buffer.size());
            if (bytes <= 0) {
                return shown_;
            }
            shown_.append(buffer.data(), static_cast<std::size_t>(bytes));
        }
    }

private:
    OwnedDescriptor master_;
    OwnedDescriptor screen_;
    std::string path_;
    std::string shown_;
};

TEST(SupervisorTerminal, ControlCReachesEachRankOnce) {
    Terminal terminal;
    LaunchedProgram program({"nproc=3", "--", "catch", "signals=1", "exists={dir}/go"},
                            [&] { terminal.take_over(); });
    terminal.wait_for("catching", 3);
    terminal.type('\x03');
    terminal.wait_for("got 2 value 1", 3);
    program.make_file("go");
    EXPECT_EQ(program.finish().exit_code, 0);
    EXPECT_EQ(count_of(terminal.shown(), "got "), 3) << terminal.shown();
}

TEST(SupervisorTerminal, RankZeroHasTheTerminalItselfAndTheOthersWriteLines) {
    Terminal terminal;
    LaunchedProgram program({"nproc=2",
                             "--",
                             "terminal",
                             "0:part=\rstep 1",
                             "0:say=",
                             "1:exists={dir}/go",
                             "1:err=late"},
                            [&] { terminal.take_over(); },
                            {"TERM=xterm"});
    terminal.wait_for("step 1", 1);
    program.make_file("go");
    EXPECT_EQ(program.finish().exit_code, 0);
    EXPECT_THAT(terminal.shown(), HasSubstr("terminal 1 1\r\n"));
    EXPECT_THAT(terminal.shown(), HasSubstr("\r\x1b[K[rank 1] terminal 0 0\r\n"));
    EXPECT_THAT(terminal.shown(), HasSubstr("\r\x1b[K[rank 1] late\r\n"));
}

}  // namespace
}  // namespace holdfast::dist
