// Open MPI's mpirun itself starts the ranks.
#include <signal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/many_ranks.h"

namespace holdfast::cli {
namespace {

using testing::HasSubstr;

class Mpirun : public ManyRanks {
protected:
    void SetUp() override {
        if (!is_installed("mpirun")) {
            GTEST_SKIP() << "no mpirun: install the package openmpi-bin";
        }
        const Outcome version = run_command({"mpirun", {"--version"}});
        if (version.out.find("Open MPI") == std::string::npos) {
            GTEST_SKIP() << "the mpirun here is not Open MPI's: " << version.out;
        }
        ManyRanks::SetUp();
    }

    // As many ranks as one wants, whoever runs it on how many processors; nothing but loopback.
    static Command mpirun(int ranks, const std::vector<std::string>& words) {
        return {"mpirun",
                with({"--allow-run-as-root",
                      "--oversubscribe",
                      "--mca",
                      "oob_tcp_if_include",
                      "lo",
                      "-n",
                      std::to_string(ranks),
                      HOLDFAST_PROGRAM},
                     words)};
    }
    static std::vector<std::string> environment() { return {"MASTER_PORT=" + free_port()}; }
};

TEST_F(Mpirun, P4_TwoRanksGiveTheBitsOfOne) {
    const Outcome shared =
        run_command(mpirun(2, train_words("shared", options_of_each())), environment());
    ASSERT_EQ(shared.exit_code, 0) << shared.log;
    EXPECT_THAT(shared.log, HasSubstr("ranks   2 (2 on each of 1 node(s)), started by mpirun"));
    const Outcome alone = train("alone", options_of_each());
    ASSERT_EQ(alone.exit_code, 0) << alone.log;
    EXPECT_EQ(exact_lines("shared"), exact_lines("alone"));
    EXPECT_EQ(hash_of("shared"), hash_of("alone"));
}

TEST_F(Mpirun, PassesOnTheExitCodeOfARefusal) {
    const Outcome outcome =
        run_command(mpirun(3, train_words("three", options_of_each())), environment());
    EXPECT_EQ(outcome.exit_code, 2) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("3 ranks cannot share the 4 lanes"));
}

TEST_F(Mpirun, ASignalAtARankStopsAllAndItsExitCodeIsThatOfTheRun) {
    RunningProgram program(
        mpirun(2, train_words("stopped", options_of_each())), directory_.path(), environment());
    ASSERT_TRUE(program.wait_for_step(metrics_path("stopped"), 10));
    const std::vector<pid_t> ranks = program.children();
    ASSERT_EQ(ranks.size(), 2U);
    ASSERT_EQ(::kill(ranks.back(), SIGTERM), 0);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 143) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("stopped by SIGTERM; step "));
    EXPECT_THAT(outcome.log, HasSubstr("is saved as "));
}

}  // namespace
}  // namespace holdfast::cli
