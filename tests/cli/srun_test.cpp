// SLURM's srun itself starts the ranks, in a SLURM of one node that is made for the test
// (tools/slurm-on-one-machine).
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/many_ranks.h"

namespace holdfast::cli {
namespace {

using testing::HasSubstr;

// What tools/slurm-on-one-machine ends with where SLURM does not come up: it may want more of a
// machine than this one has.
constexpr int kNoSlurmExitCode = 69;

class Srun : public ManyRanks {
protected:
    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "slurmd needs root";
        }
        for (const char* program : {"srun", "slurmctld", "slurmd", "munged"}) {
            if (!is_installed(program)) {
                GTEST_SKIP() << "no " << program << ": install the packages slurm-wlm and munge";
            }
        }
        ManyRanks::SetUp();
    }

    static Command srun(int ranks, const std::vector<std::string>& words) {
        return in_slurm(1, with({"srun", "-n", std::to_string(ranks), HOLDFAST_PROGRAM}, words));
    }
    static Command in_slurm(int nodes, const std::vector<std::string>& words) {
        return {HOLDFAST_SOURCE_DIR "/tools/slurm-on-one-machine",
                with({"--nodes", std::to_string(nodes)}, words)};
    }
    static std::vector<std::string> environment() { return {"MASTER_PORT=" + free_port()}; }
    // The run "shared", which `command` starts, ends with the bits of one rank.
    void expect_bits_of_one(const Command& command, const std::string& ranks) {
        const Outcome shared = run_command(command, environment());
        if (shared.exit_code == kNoSlurmExitCode) {
            GTEST_SKIP() << "no SLURM comes up here: " << shared.log;
        }
        ASSERT_EQ(shared.exit_code, 0) << shared.log;
        EXPECT_THAT(shared.log, HasSubstr("ranks   " + ranks + " node(s)), started by srun"));
        const Outcome alone = train("alone", options_of_each());
        ASSERT_EQ(alone.exit_code, 0) << alone.log;
        EXPECT_EQ(exact_lines("shared"), exact_lines("alone"));
        EXPECT_EQ(hash_of("shared"), hash_of("alone"));
    }
};

TEST_F(Srun, P4_TwoTasksGiveTheBitsOfOne) {
    expect_bits_of_one(srun(2, train_words("shared", options_of_each())), "2 (2 on each of 1");
}

// The nodes have names that nothing resolves.
TEST_F(Srun, P4_TwoTasksOnEachOfTwoNodesGiveTheBitsOfOne) {
    expect_bits_of_one(in_slurm(2,
                                with({"env",
                                      "MASTER_ADDR=127.0.0.1",
                                      "srun",
                                      "-N",
                                      "2",
                                      "--ntasks-per-node",
                                      "2",
                                      HOLDFAST_PROGRAM},
                                     train_words("shared", options_of_each()))),
                       "4 (2 on each of 2");
}

TEST_F(Srun, NodesWithUnequallyManyTasksAreRefused) {
    const Outcome outcome =
        run_command(in_slurm(2,
                             with({"srun", "-N", "2", "-n", "3", HOLDFAST_PROGRAM},
                                  train_words("uneven", options_of_each()))));
    if (outcome.exit_code == kNoSlurmExitCode) {
        GTEST_SKIP() << "no SLURM comes up here: " << outcome.log;
    }
    EXPECT_EQ(outcome.exit_code, 2) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("3 tasks on 2 nodes"));
}

TEST_F(Srun, PassesOnTheExitCodeOfARefusal) {
    const Outcome outcome =
        run_command(srun(3, train_words("three", options_of_each())), environment());
    if (outcome.exit_code == kNoSlurmExitCode) {
        GTEST_SKIP() << "no SLURM comes up here: " << outcome.log;
    }
    EXPECT_EQ(outcome.exit_code, 2) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("3 ranks cannot share the 4 lanes"));
}

// scancel signals every task of the job at once.
TEST_F(Srun, ACancelledJobSavesAndItsExitCodeIsThatOfTheRun) {
    const std::string script = R"sh(
        "$@" &
        until [ "$(cat "$METRICS" 2>/dev/null | wc -l)" -gt 5 ]; do sleep 0.1; done
        scancel --signal=TERM 1
        wait $!)sh";
    std::vector<std::string> variables = environment();
    variables.push_back("METRICS=" + metrics_path("cancelled"));
    const Outcome outcome = run_command(
        in_slurm(1,
                 with({"timeout",
                       "120",
                       "bash",
                       "-c",
                       script,
                       "bash",
                       "srun",
                       "-n",
                       "2",
                       HOLDFAST_PROGRAM},
                      train_words("cancelled", options_of_each({"--max-steps", "100000"})))),
        variables);
    if (outcome.exit_code == kNoSlurmExitCode) {
        GTEST_SKIP() << "no SLURM comes up here: " << outcome.log;
    }
    EXPECT_EQ(outcome.exit_code, 143) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("stopped by SIGTERM; step "));
    EXPECT_THAT(outcome.log, HasSubstr("is saved as "));
}

}  // namespace
}  // namespace holdfast::cli
