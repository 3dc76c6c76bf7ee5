// A loss that is no number: a learning rate beyond all reason makes one at the second step.
#include <filesystem>

#include <gtest/gtest.h>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

class BadLoss : public SmallRun {
protected:
    Outcome train_steps(const std::string& name,
                        const std::string& max_steps,
                        const std::string& policy) {
        return train(name,
                     {"--max-steps=" + max_steps,
                      "--on-bad-loss=" + policy,
                      "--eval-interval=0",
                      "--warmup-steps=0",
                      "--learning-rate=1e30",
                      "--schedule.kind=constant"});
    }
};

TEST_F(BadLoss, StopsAfterAnEmergencySaveAndNamesStepRankAndPlace) {
    const Outcome outcome = train_steps("run", "6", "stop");
    EXPECT_EQ(outcome.exit_code, 1) << outcome.log;
    EXPECT_NE(outcome.log.find("step 2 was refused: loss "), std::string::npos) << outcome.log;
    EXPECT_NE(outcome.log.find("(rank 0, epoch 0, sample 24)"), std::string::npos) << outcome.log;
    EXPECT_NE(outcome.log.find("saved emergency/step_00000002"), std::string::npos) << outcome.log;
}

TEST_F(BadLoss, RestartLoopLeavesOneEmergencyCheckpoint) {
    ASSERT_EQ(train_steps("run", "6", "stop").exit_code, 1);
    for (int start = 0; start < 2; ++start) {
        const Outcome again = train_steps("run", "6", "stop");
        EXPECT_EQ(again.exit_code, 1) << again.log;
        EXPECT_EQ(again.log.find("\nsaved "), std::string::npos) << again.log;
    }
    const std::string listed = run_program({"checkpoints", "list", run_directory("run")}).out;
    EXPECT_EQ(listed.find("_r2"), std::string::npos) << listed;
    std::size_t emergencies = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(run_directory("run") + "/emergency")) {
        emergencies += entry.is_directory() ? 1U : 0U;
    }
    EXPECT_EQ(emergencies, 1U) << listed;
}

TEST_F(BadLoss, NeverReachesTheWeightsWhenItIsSkipped) {
    ASSERT_EQ(train_steps("good", "1", "stop").exit_code, 0);
    const Outcome outcome = train_steps("run", "6", "skip");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_NE(outcome.log.find("5 step(s) were refused"), std::string::npos) << outcome.log;
    // Nothing but the first step has changed a weight.
    const auto weights = [&](const std::string& entry) {
        const std::string file = read_text(run_directory(entry) + "/model.safetensors");
        return file.substr(file.size() / 2);
    };
    EXPECT_EQ(weights("run/rolling/step_00000006"), weights("good/rolling/step_00000001"));
}

}  // namespace
}  // namespace holdfast::cli
