// P1, P2: the real program, killed again and again, at named points and at random times, ends with
// the bits of a run never stopped. HOLDFAST_SOAK_KILLS (default 25) and HOLDFAST_SOAK_SEED (1) make
// it the soak of tools/soak-kill.
#include <string>
#include <vector>

#include <signal.h>

#include <gtest/gtest.h>

#include "faults/killed_run.h"

namespace holdfast::faults {
namespace {

class SoakKill : public KilledRun {};

TEST_F(SoakKill, P2_EndsWithTheBitsOfARunNeverStopped) {
    kill_runs(kills_wanted(25));
}

TEST_F(SoakKill, P1_DeletionsOfAFinishedRunAreMadeUpByTheNextStart) {
    name_ = "finished";
    const std::vector<std::string> words = train_words(name_,
                                                       {"--max-steps",
                                                        "6",
                                                        "--warmup-steps",
                                                        "2",
                                                        "--checkpoint-freq",
                                                        "2",
                                                        "--keep-checkpoints",
                                                        "2",
                                                        "--backup",
                                                        "off"});
    // Killed before the deletion after the last save, then before the one after its evaluation.
    for (const char* rule :
         {"rename */.trash/* 2 kill-before", "rename */.trash/* 1 kill-before"}) {
        const cli::Outcome killed = run_with_faults(words, rule);
        EXPECT_EQ(killed.exit_code, 128 + SIGKILL) << killed.log;
    }
    EXPECT_EQ(names_in(run_directory(name_) + "/rolling").size(), kKept + 1);
    EXPECT_EQ(run_with_faults(words, "").exit_code, 0);
    EXPECT_EQ(names_in(run_directory(name_) + "/rolling").size(), kKept);
}

TEST_F(SoakKill, P1_TheLastStepIsTheBestThoughKilledBeforeItJoined) {
    name_ = "last";
    const std::vector<std::string> words = train_words(
        name_,
        {"--max-steps", "4", "--warmup-steps", "2", "--eval-interval", "4", "--backup", "off"});
    const cli::Outcome killed = run_with_faults(words, "mkdir */.pending-* 3 kill-before");
    EXPECT_EQ(killed.exit_code, 128 + SIGKILL) << killed.log;
    EXPECT_EQ(exact_lines(name_).size(), 4U);
    EXPECT_TRUE(names_in(run_directory(name_) + "/best").empty());
    EXPECT_EQ(run_with_faults(words, "").exit_code, 0);
    EXPECT_EQ(names_in(run_directory(name_) + "/best"), std::vector<std::string>{"step_00000004"});
    EXPECT_EQ(exact_lines(name_).size(), 4U);
}

}  // namespace
}  // namespace holdfast::faults
