#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/wait.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

using TrainCommand = SmallRun;

void flip_byte(const std::string& path, std::int64_t at) {
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const int byte = file.get();
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 1));
    ASSERT_TRUE(file.good()) << path;
}

TEST_F(TrainCommand, SavesStepZeroAndTheLastStepAndTheEpochs) {
    ASSERT_EQ(train("run").exit_code, 0);
    for (const char* entry : {"rolling/step_00000000",
                              "rolling/step_00000060",
                              "epoch/epoch_00001",
                              "epoch/epoch_00002"}) {
        EXPECT_TRUE(
            std::filesystem::exists(run_directory("run") + "/" + entry + "/checkpoint.json"))
            << entry;
    }
}

TEST_F(TrainCommand, P1_DamagedNewestIsQuarantinedAndTheNextOlderGoesOn) {
    ASSERT_EQ(train("straight").exit_code, 0);
    ASSERT_EQ(train("run", {"--backup", "off"}).exit_code, 0);
    // Every copy of step 60 shares its blocks.
    flip_byte(run_directory("run") + "/rolling/step_00000060/model.safetensors", 9000);
    const Outcome resumed = train("run", {"--resume", "latest", "--backup", "off"});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.log;
    EXPECT_NE(resumed.log.find("step_00000060"), std::string::npos) << resumed.log;
    EXPECT_NE(resumed.log.find("resumed from"), std::string::npos) << resumed.log;
    EXPECT_FALSE(std::filesystem::is_empty(run_directory("run") + "/quarantine"));
    EXPECT_EQ(hash_of("run"), hash_of("straight"));
    EXPECT_EQ(exact_lines("run"), exact_lines("straight"));
}

TEST_F(TrainCommand, FinishedRunResumedDoesNothing) {
    ASSERT_EQ(train("run").exit_code, 0);
    const std::string metrics = read_text(metrics_path("run"));
    const Outcome again = train("run", {"--resume", "latest"});
    EXPECT_EQ(again.exit_code, 0);
    EXPECT_NE(again.log.find("the run is finished"), std::string::npos) << again.log;
    EXPECT_EQ(read_text(metrics_path("run")), metrics);
}

TEST_F(TrainCommand, RaisedMaxStepsGoesOn) {
    ASSERT_EQ(train("run").exit_code, 0);
    const Outcome more = train("run", {"--resume", "latest", "--max-steps", "64"});
    EXPECT_EQ(more.exit_code, 0) << more.log;
    EXPECT_EQ(exact_lines("run").size(), 64U);
}

TEST_F(TrainCommand, RollbackToAStepBeginsANewLineage) {
    ASSERT_EQ(train("run").exit_code, 0);
    const std::string hash = hash_of("run");
    const Outcome again = train("run", {"--resume", "20"});
    ASSERT_EQ(again.exit_code, 0) << again.log;
    EXPECT_TRUE(std::filesystem::exists(run_directory("run") + "/rolling/step_00000060-r2"));
    EXPECT_EQ(hash_of("run"), hash);
    EXPECT_EQ(exact_lines("run").size(), 60U);
}

TEST_F(TrainCommand, AnotherIdentityGetsADirectoryOfItsOwn) {
    ASSERT_EQ(train("run").exit_code, 0);
    const std::string hash = hash_of("run");
    const Outcome other = train("run", {"--n-embd", "64", "--max-steps", "12"});
    EXPECT_EQ(other.exit_code, 0) << other.log;
    EXPECT_NE(other.log.find("_run_"), std::string::npos) << other.log;
    EXPECT_EQ(hash_of("run"), hash);
}

TEST_F(TrainCommand, StopWithoutTimeForASaveNamesTheNewestCheckpointAndLosesNoMore) {
    ASSERT_EQ(train("straight").exit_code, 0);
    RunningProgram program(train_words("run", {"--stop-deadline", "0"}), directory_.path());
    ASSERT_TRUE(program.wait_for_step(metrics_path("run"), 27));
    program.send_signal(SIGTERM);
    const Outcome stopped = program.finish();
    EXPECT_EQ(stopped.exit_code, 4) << stopped.log;
    EXPECT_NE(stopped.log.find("is not saved: "), std::string::npos) << stopped.log;
    EXPECT_NE(stopped.log.find("the newest checkpoint is "), std::string::npos) << stopped.log;
    EXPECT_TRUE(std::filesystem::is_empty(run_directory("run") + "/emergency"));
    ASSERT_EQ(train("run", {"--resume", "latest"}).exit_code, 0);
    EXPECT_EQ(hash_of("run"), hash_of("straight"));
    EXPECT_EQ(exact_lines("run"), exact_lines("straight"));
}

TEST_F(TrainCommand, IntervalMayBeATime) {
    const Outcome trained =
        train("run", {"--max-steps=6", "--warmup-steps=2", "--checkpoint.interval=1ms"});
    EXPECT_EQ(trained.exit_code, 2) << "a time has whole letters: 1m, 0.001s";
    ASSERT_EQ(train("run", {"--max-steps=6", "--warmup-steps=2", "--checkpoint.interval=0.001s"})
                  .exit_code,
              0);
    for (int step = 1; step <= 6; ++step) {
        EXPECT_TRUE(std::filesystem::exists(
            fmt::format("{}/rolling/step_{:08}", run_directory("run"), step)))
            << step;
    }
}

// The exit code of the printed resume command, run by a shell.
int run_printed_command(const std::string& run_directory) {
    const Outcome printed = run_program({"checkpoints", "resume-command", run_directory});
    EXPECT_EQ(printed.exit_code, 0) << printed.log;
    std::string command = printed.out;
    command.pop_back();
    const int status = std::system(("( " + command + " ) > /dev/null 2>&1").c_str());
    EXPECT_EQ(status, 0) << command;
    return WEXITSTATUS(status);
}

TEST_F(TrainCommand, ResumeCommandRunsAsPrinted) {
    ASSERT_EQ(train("run", {"--max-steps", "20", "--notes", "it's a 'test'"}).exit_code, 0);
    EXPECT_EQ(run_printed_command(run_directory("run")), 0);
}

TEST_F(TrainCommand, ResumeCommandKnowsSettingsFromTheEnvironment) {
    ASSERT_EQ(::setenv("HOLDFAST_OPTIMIZER__LEARNING_RATE", "5e-4", 1), 0);
    const Outcome trained = train("run", {"--max-steps", "20"});
    ASSERT_EQ(::unsetenv("HOLDFAST_OPTIMIZER__LEARNING_RATE"), 0);
    ASSERT_EQ(trained.exit_code, 0) << trained.log;
    EXPECT_EQ(run_printed_command(run_directory("run")), 0);
}

TEST_F(TrainCommand, ResumeCommandSpellsOutAConfigFileThatIsGone) {
    ASSERT_EQ(train("run", {"--max-steps", "20"}).exit_code, 0);
    std::filesystem::remove(config_path_);
    EXPECT_EQ(run_printed_command(run_directory("run")), 0);
}

TEST_F(TrainCommand, ChangeThatWasAllowedOnceIsTheRunsFromThenOn) {
    ASSERT_EQ(train("run", {"--max-steps", "20"}).exit_code, 0);
    const std::vector<std::string> faster = {
        "--resume", "latest", "--max-steps", "40", "--learning-rate", "5e-4"};
    const Outcome refused = train("run", faster);
    EXPECT_EQ(refused.exit_code, 3);
    EXPECT_NE(refused.log.find("--allow-change optimizer.learning_rate"), std::string::npos)
        << refused.log;
    std::vector<std::string> allowed = faster;
    allowed.insert(allowed.end(), {"--allow-change", "learning_rate"});
    ASSERT_EQ(train("run", allowed).exit_code, 0);
    EXPECT_EQ(train("run", faster).exit_code, 0);
    EXPECT_EQ(run_printed_command(run_directory("run")), 0);
}

TEST_F(TrainCommand, KeepsTheFirstSaveAtOrAfterEachMultipleThroughAStop) {
    const std::vector<std::string> options = {"--interval", "10", "--keep-every", "15"};
    {
        RunningProgram program(train_words("run", options), directory_.path());
        ASSERT_TRUE(program.wait_for_step(metrics_path("run"), 16));
        program.send_signal(SIGTERM);
        ASSERT_EQ(program.finish().exit_code, 143);
    }
    ASSERT_EQ(train("run", options).exit_code, 0);
    std::vector<std::string> kept;
    for (const auto& entry : std::filesystem::directory_iterator(run_directory("run") + "/keep")) {
        kept.push_back(entry.path().filename());
    }
    EXPECT_THAT(kept,
                testing::UnorderedElementsAre(
                    "step_00000020", "step_00000030", "step_00000050", "step_00000060"));
}

TEST_F(TrainCommand, ListShowsTheLossOfTheLastEvaluation) {
    ASSERT_EQ(train("run").exit_code, 0);
    const Outcome list = run_program({"checkpoints", "list", run_directory("run"), "--json"});
    const auto last = nlohmann::json::parse(lines_of(read_text(metrics_path("run"))).back());
    const auto report = nlohmann::json::parse(list.out);
    int found = 0;
    for (const auto& entry : report.at("checkpoints")) {
        if (entry.at("step") == 60) {
            ++found;
            EXPECT_EQ(entry.at("val_loss"), last.at("val_loss")) << entry;
        }
    }
    EXPECT_GE(found, 1);
}

TEST_F(TrainCommand, EvalGivesTheLoggedValLossBitForBit) {
    ASSERT_EQ(train("run").exit_code, 0);
    const Outcome eval = run_program({"eval", "--checkpoint", run_directory("run"), "--json"});
    ASSERT_EQ(eval.exit_code, 0) << eval.log;
    const auto report = nlohmann::json::parse(eval.out);
    const auto last = nlohmann::json::parse(lines_of(read_text(metrics_path("run"))).back());
    EXPECT_EQ(report.at("loss").get<double>(), last.at("val_loss").get<double>());
    EXPECT_GT(report.at("bits_per_byte").get<double>(), 0.0);
}

TEST_F(TrainCommand, SampleWritesTheSameTextForTheSameSeed) {
    ASSERT_EQ(train("run").exit_code, 0);
    const std::vector<std::string> words = {
        "sample", "--checkpoint", run_directory("run"), "--prompt", "the ", "--tokens", "150"};
    const Outcome first = run_program(words);
    ASSERT_EQ(first.exit_code, 0) << first.log;
    EXPECT_EQ(first.out.rfind("the ", 0), 0U);
    EXPECT_GT(first.out.size(), 20U);
    EXPECT_EQ(run_program(words).out, first.out);
}

TEST_F(TrainCommand, ListNamesEveryCheckpoint) {
    ASSERT_EQ(train("run").exit_code, 0);
    const Outcome table = run_program({"checkpoints", "list", run_directory("run")});
    EXPECT_EQ(table.exit_code, 0);
    EXPECT_NE(table.out.find("latest (rolling)\n  step_00000060 "), std::string::npos) << table.out;
    const Outcome json = run_program({"checkpoints", "list", run_directory("run"), "--json"});
    EXPECT_GE(nlohmann::json::parse(json.out).at("checkpoints").size(), 8U);
    EXPECT_EQ(run_program({"checkpoints", "verify", run_directory("run")}).exit_code, 0);
    flip_byte(run_directory("run") + "/rolling/step_00000020/checkpoint.json", 40);
    EXPECT_EQ(run_program({"checkpoints", "verify", run_directory("run")}).exit_code, 3);
}

}  // namespace
}  // namespace holdfast::cli
