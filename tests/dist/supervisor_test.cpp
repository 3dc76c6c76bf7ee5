// The supervisor as a process of its own: what ranks get, how failures and restarts go.
#include "dist/supervisor.h"

#include <cerrno>
#include <filesystem>
#include <map>
#include <set>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/launched_program.h"

namespace holdfast::dist {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

// The environment that a rank printed, without the prefix.
std::map<std::string, std::string> environment_of(const std::string& out,
                                                  const std::string& prefix) {
    std::map<std::string, std::string> settings;
    for (const std::string& line : lines_after(out, prefix + "env ")) {
        const std::size_t equals = line.find('=');
        EXPECT_TRUE(settings.emplace(line.substr(0, equals), line.substr(equals + 1)).second)
            << line << " is there twice";
    }
    return settings;
}

TEST(Supervisor, EveryRankHasItsPlaceInItsEnvironment) {
    const Outcome outcome = run_launched({"nproc=2", "--", "environ", "arguments"},
                                         {"PATH=/bin", "HOLDFAST_RUN_TOKEN=old", "ODD=a=b"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    const auto first = environment_of(outcome.out, "");
    const auto second = environment_of(outcome.out, "[rank 1] ");
    EXPECT_EQ(first.size(), 12U);
    EXPECT_EQ(second.size(), 11U);
    EXPECT_EQ(first.at("PATH"), "/bin");
    EXPECT_EQ(first.at("ODD"), "a=b");
    EXPECT_EQ(first.at("HOLDFAST_RANK"), "0");
    EXPECT_EQ(second.at("HOLDFAST_RANK"), "1");
    EXPECT_EQ(second.at("HOLDFAST_WORLD_SIZE"), "2");
    EXPECT_EQ(second.at("HOLDFAST_LOCAL_RANK"), "1");
    EXPECT_EQ(second.at("HOLDFAST_LOCAL_WORLD_SIZE"), "2");
    EXPECT_EQ(second.at("HOLDFAST_NODE_RANK"), "0");
    EXPECT_EQ(second.at("HOLDFAST_MASTER_ADDR"), "127.0.0.1");
    EXPECT_EQ(second.at("HOLDFAST_MASTER_PORT"), first.at("HOLDFAST_MASTER_PORT"));
    EXPECT_EQ(second.at("HOLDFAST_RESTART_COUNT"), "0");
    EXPECT_THAT(first.at("HOLDFAST_RUN_TOKEN"), testing::MatchesRegex("[0-9a-f]{32}"));
    EXPECT_EQ(second.at("HOLDFAST_RUN_TOKEN"), first.at("HOLDFAST_RUN_TOKEN"));
    EXPECT_EQ(second.count("HOLDFAST_MASTER_LISTEN_FD"), 0U);
    EXPECT_THAT(lines_after(outcome.out, "[rank 1] argument "),
                ElementsAre(HasSubstr("rank_child"), "nproc=2", "--", "environ", "arguments"));
}

TEST(Supervisor, EveryRunHasAnotherToken) {
    std::set<std::string> tokens;
    for (int i = 0; i < 3; ++i) {
        const Outcome outcome = run_launched({"nproc=1", "--", "environ"});
        tokens.insert(environment_of(outcome.out, "").at("HOLDFAST_RUN_TOKEN"));
    }
    EXPECT_EQ(tokens.size(), 3U);
}

TEST(Supervisor, RankZeroAloneHasTheSocketThatListens) {
    const Outcome outcome = run_launched({"nproc=3", "--", "listens", "descriptors", "environ"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    const auto settings = environment_of(outcome.out, "");
    EXPECT_THAT(lines_in(outcome.out),
                Contains("listens 1 port " + settings.at("HOLDFAST_MASTER_PORT")));
    EXPECT_THAT(lines_in(outcome.out),
                Contains("descriptors 0 1 2 " + settings.at("HOLDFAST_MASTER_LISTEN_FD")));
    for (const char* rank : {"[rank 1] ", "[rank 2] "}) {
        EXPECT_THAT(lines_after(outcome.out, std::string(rank) + "listens"), ElementsAre(" no"));
        EXPECT_THAT(lines_after(outcome.out, std::string(rank) + "descriptors"),
                    ElementsAre(" 0 1 2"));
    }
}

TEST(Supervisor, KeepsNoSocketThatWouldAnswerForADeadRankZero) {
    LaunchedProgram program({"nproc=2", "--", "say=here", "exists={dir}/go"});
    ASSERT_TRUE(program.wait_for("here", 2));
    const std::filesystem::path folder = fmt::format("/proc/{}/fd", program.pid());
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        EXPECT_THAT(std::filesystem::read_symlink(entry.path()).string(),
                    Not(testing::StartsWith("socket:")));
    }
    program.make_file("go");
    EXPECT_EQ(program.finish().exit_code, 0);
}

TEST(Supervisor, ANodeOfSeveralNumbersItsRanksAfterTheOthers) {
    const Outcome outcome = run_launched(
        {"nproc=2", "nnodes=3", "node=1", "master=node0", "port=4000", "--", "environ", "listens"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    const auto settings = environment_of(outcome.out, "[rank 3] ");
    EXPECT_EQ(settings.at("HOLDFAST_RANK"), "3");
    EXPECT_EQ(settings.at("HOLDFAST_WORLD_SIZE"), "6");
    EXPECT_EQ(settings.at("HOLDFAST_LOCAL_RANK"), "1");
    EXPECT_EQ(settings.at("HOLDFAST_NODE_RANK"), "1");
    EXPECT_EQ(settings.at("HOLDFAST_MASTER_ADDR"), "node0");
    EXPECT_EQ(settings.at("HOLDFAST_MASTER_PORT"), "4000");
    EXPECT_EQ(settings.at("HOLDFAST_RUN_TOKEN"), "node0:4000-3x2");
    EXPECT_THAT(lines_in(outcome.out), Contains("[rank 2] listens no"));
}

TEST(Supervisor, ATokenThatWasGivenIsTaken) {
    const Outcome outcome = run_launched({"nproc=1", "token=mine", "--", "environ"});
    EXPECT_EQ(environment_of(outcome.out, "").at("HOLDFAST_RUN_TOKEN"), "mine");
}

TEST(Supervisor, ARequestThatCannotBeStartsNothing) {
    const Outcome outcome = run_launched({"nproc=0", "--", "say=started"});
    EXPECT_EQ(outcome.exit_code, 97);
    EXPECT_THAT(outcome.log, HasSubstr("error: --nproc-per-node 0"));
    EXPECT_EQ(outcome.out, "");
}

TEST(Supervisor, TheFirstFailureIsToldWithItsLastLines) {
    const Outcome outcome = run_launched({"nproc=3",
                                          "grace=0.05",
                                          "--",
                                          "2:lines=25",
                                          "2:err=the reason",
                                          "2:signal=11",
                                          "err=a consequence",
                                          "sleep=1000"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(
        outcome.log,
        testing::ContainsRegex("holdfast: rank 2 \\(process [0-9]+\\) was killed by SIGSEGV "
                               "[0-9.]+s after its start; rank 0, rank 1 may take"));
    std::string expected = "holdfast: rank 2 failed first; its last 20 lines:\n";
    for (int i = 6; i < 25; ++i) {
        expected += fmt::format("  | line {} of rank 2 and its end\n", i);
    }
    expected += "  | the reason\n";
    EXPECT_THAT(outcome.log, testing::EndsWith(expected));
    EXPECT_EQ(count_of(outcome.log, "failed first"), 1);
}

TEST(Supervisor, TheExitCodeOfTheFirstFailureCounts) {
    EXPECT_EQ(run_launched({"nproc=2", "--", "1:exit=5"}).exit_code, 5);
    EXPECT_EQ(run_launched({"nproc=2", "--", "0:exit=42"}).exit_code, 42);
    EXPECT_EQ(run_launched({"nproc=2", "--", "1:signal=11"}).exit_code, 1);
    EXPECT_EQ(run_launched({"nproc=2", "--", "1:signal=15"}).exit_code, 1);
    EXPECT_EQ(run_launched({"nproc=2", "--", "exit=0"}).exit_code, 0);
}

TEST(Supervisor, ARankThatWaitedInVainGivesTheBlameToTheOneItWaitedFor) {
    const Outcome outcome = run_launched({"nproc=3",
                                          "restarts=1",
                                          "--",
                                          "0:exit=75",
                                          "2:sleep=0.2",
                                          "2:err=the reason",
                                          "2:exit=2"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.log, HasSubstr("ended with exit code 75"));
    EXPECT_THAT(outcome.log,
                HasSubstr("holdfast: rank 2 failed first; its last line:\n  | the reason\n"
                          "holdfast: no restart after exit code 2\n"));
}

TEST(Supervisor, HowOthersEndWhenTheyAreSignalledIsNoCause) {
    const Outcome outcome = run_launched(
        {"nproc=2", "grace=0.05", "--", "0:exit=75", "1:catch", "1:signals=1", "1:exit=5"});
    EXPECT_EQ(outcome.exit_code, 75);
    EXPECT_THAT(outcome.log, HasSubstr("holdfast: rank 0 failed first"));
}

TEST(Supervisor, AResultIsNoFailure) {
    const Outcome outcome =
        run_launched({"nproc=2", "result=10", "restarts=3", "--", "0:exit=10", "1:sleep=0.1"});
    EXPECT_EQ(outcome.exit_code, 10);
    EXPECT_EQ(outcome.log, "");
}

TEST(Supervisor, OthersThatEndInTheirGraceAreNotSignalled) {
    LaunchedProgram program(
        {"nproc=2", "grace=1000", "--", "0:catch", "0:exists={dir}/go", "0:say=saved", "1:exit=5"});
    ASSERT_TRUE(program.wait_for_log("rank 0 may take 16m40s to end"));
    program.make_file("go");
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 5);
    EXPECT_THAT(outcome.out, HasSubstr("saved\n"));
    EXPECT_THAT(outcome.log, Not(HasSubstr("SIGTERM")));
}

TEST(Supervisor, OthersMayStillSaveWhenTheirGraceIsOver) {
    LaunchedProgram program({"nproc=2",
                             "grace=0",
                             "kill=1000",
                             "--",
                             "0:catch",
                             "1:exists={dir}/go",
                             "1:exit=5",
                             "signals=1",
                             "say=saved",
                             "exit=143"});
    ASSERT_TRUE(program.wait_for("catching"));
    program.make_file("go");
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 5);
    EXPECT_EQ(outcome.out, "catching\ngot 15 value 1\nsaved\n");
    EXPECT_THAT(outcome.log, Not(HasSubstr("SIGKILL")));
}

TEST(Supervisor, OthersThatDoNotEndAreTerminatedAndThenKilled) {
    const Outcome outcome = run_launched({"nproc=4",
                                          "grace=0.05",
                                          "kill=0.05",
                                          "--",
                                          "0:ignore=15",
                                          "2:ignore=15",
                                          "say=ready",
                                          "3:exit=5",
                                          "sleep=1000"});
    EXPECT_EQ(outcome.exit_code, 5);
    EXPECT_THAT(outcome.log, HasSubstr("SIGTERM to rank "));
    EXPECT_THAT(outcome.log, testing::ContainsRegex("SIGKILL to rank .*rank 2, which did not end"));
    EXPECT_THAT(outcome.log, HasSubstr("rank 3 failed first"));
    EXPECT_EQ(count_of(outcome.log, "failed first"), 1);
}

TEST(Supervisor, NoRankOutlivesASupervisorThatIsKilled) {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    LaunchedProgram program({"nproc=4", "--", "ignore=15", "ignore=1", "ids", "sleep=1000"});
    ASSERT_TRUE(program.wait_for("ids ", 4));
    std::set<pid_t> left;
    for (const char* prefix : {"ids ", "[rank 1] ids ", "[rank 2] ids ", "[rank 3] ids "}) {
        for (const std::string& ids : lines_after(program.out(), prefix)) {
            left.insert(std::stoi(ids));
        }
    }
    ASSERT_EQ(left.size(), 4U);
    program.send(SIGKILL);
    EXPECT_EQ(program.finish().exit_code, 128 + SIGKILL);
    // Without their parent they are this process's to reap.
    while (!left.empty()) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, 0);
        ASSERT_GT(pid, 0) << "errno " << errno;
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
        left.erase(pid);
    }
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

TEST(Supervisor, RestartsWithAsManyAndCountsThem) {
    const Outcome outcome = run_launched(
        {"nproc=2", "restarts=3", "--", "listens", "environ", "1@0:exit=1", "0@1:signal=9"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(lines_after(outcome.out, "env HOLDFAST_RESTART_COUNT="),
                UnorderedElementsAre("0", "1", "2"));
    EXPECT_EQ(lines_after(outcome.out, "listens 1 port ").size(), 3U);
    EXPECT_THAT(outcome.log, HasSubstr("holdfast: restart 1 of 3 with 2 ranks\n"));
    EXPECT_THAT(outcome.log, HasSubstr("holdfast: restart 2 of 3 with 2 ranks\n"));
}

TEST(Supervisor, ASlotThatFailsAgainIsLeftOut) {
    const Outcome outcome = run_launched(
        {"nproc=4", "restarts=2", "valid=1,2,4", "--", "environ", "1@0:exit=1", "1@1:signal=9"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("restart 1 of 2 with 4 ranks\n"));
    EXPECT_THAT(outcome.log,
                HasSubstr("restart 2 of 2 with 2 ranks (before: 4): what failed the last two "
                          "starts, slot 1, is left out\n"));
    EXPECT_THAT(lines_after(outcome.out, "[rank 1] env HOLDFAST_WORLD_SIZE="), Contains("2"));
    EXPECT_THAT(lines_after(outcome.out, "[rank 1] env HOLDFAST_LOCAL_WORLD_SIZE="), Contains("2"));
    EXPECT_THAT(lines_after(outcome.out, "env CUDA_VISIBLE_DEVICES="), ElementsAre("0,2"));
    EXPECT_THAT(lines_after(outcome.out, "[rank 1] env CUDA_VISIBLE_DEVICES="), ElementsAre("0,2"));
}

TEST(Supervisor, OneThatFreezesAgainIsLeftOut) {
    // Rank 0 has waited in vain for rank 1, which takes no signal.
    const Outcome outcome = run_launched({"nproc=2",
                                          "restarts=2",
                                          "grace=0.1",
                                          "kill=0.1",
                                          "--",
                                          "1@0:signal=19",
                                          "1@1:signal=19",
                                          "0@0:sleep=0.2",
                                          "0@0:exit=75",
                                          "0@1:sleep=0.2",
                                          "0@1:exit=75",
                                          "environ"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("restart 2 of 2 with 1 rank (before: 2): what failed"));
    EXPECT_THAT(lines_after(outcome.out, "env CUDA_VISIBLE_DEVICES="), ElementsAre("0"));
}

TEST(Supervisor, WithTooFewOthersAllAreStartedAgain) {
    const Outcome outcome = run_launched(
        {"nproc=4", "restarts=2", "min=4", "--", "3@0:exit=7", "3@1:exit=7", "3@2:exit=8"});
    EXPECT_EQ(outcome.exit_code, 8);
    EXPECT_THAT(outcome.log, HasSubstr("restart 2 of 2 with 4 ranks\n"));
    EXPECT_THAT(outcome.log, HasSubstr("no restart is left of --max-restarts 2"));
}

TEST(Supervisor, TheEndOfTheTimeIsNotRestarted) {
    const Outcome outcome =
        run_launched({"nproc=2", "restarts=5", "limit=0.2", "--", "sleep=0.3", "exit=75"});
    EXPECT_EQ(outcome.exit_code, 75);
    EXPECT_THAT(outcome.log, HasSubstr("no restart: the time limit of"));
}

TEST(Supervisor, ACrashLoopEndsWithItsReason) {
    const Outcome outcome = run_launched(
        {"nproc=2", "restarts=100", "min=2", "loop=3", "--", "say=started", "1:signal=6"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.log, HasSubstr("no restart: the last 3 starts failed within 1m00s"));
    EXPECT_EQ(count_of(outcome.out, "[rank 1] started"), 3);
}

TEST(Supervisor, SomeExitCodesAreNotRestarted) {
    for (const int code : {2, 3, 130, 143}) {
        const Outcome outcome =
            run_launched({"nproc=2", "restarts=5", "--", fmt::format("exit={}", code)});
        EXPECT_EQ(outcome.exit_code, code);
        EXPECT_THAT(outcome.log, HasSubstr(fmt::format("no restart after exit code {}", code)));
    }
    EXPECT_THAT(run_launched({"nproc=1", "restarts=1", "--", "exit=75"}).log,
                HasSubstr("restart 1 of 1"));
}

TEST(Supervisor, APortThatWasGivenServesEveryAttempt) {
    const Outcome probe = run_launched({"nproc=1", "--", "environ"});
    const std::string port = environment_of(probe.out, "").at("HOLDFAST_MASTER_PORT");
    const Outcome outcome =
        run_launched({"nproc=2", "port=" + port, "restarts=1", "--", "listens", "1@0:exit=1"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_EQ(count_of(outcome.out, "listens 1 port " + port + "\n"), 2);
}

}  // namespace
}  // namespace holdfast::dist
