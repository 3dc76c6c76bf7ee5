#include <filesystem>
#include <fstream>

#include <fmt/format.h>
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
    ASSERT_EQ(train("run").exit_code, 0);
    // Every copy of step 60 shares its blocks.
    flip_byte(run_directory("run") + "/rolling/step_00000060/model.safetensors", 9000);
    const Outcome resumed = train("run", {"--resume", "latest"});
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

TEST_F(TrainCommand, ResumeCommandRunsAsPrinted) {
    ASSERT_EQ(train("run", {"--max-steps", "20", "--notes", "it's a 'test'"}).exit_code, 0);
    const Outcome printed = run_program({"checkpoints", "resume-command", run_directory("run")});
    ASSERT_EQ(printed.exit_code, 0) << printed.log;
    std::string command = printed.out;
    ASSERT_EQ(command.rfind("holdfast ", 0), 0U) << command;
    command.replace(0, 8, HOLDFAST_PROGRAM);
    command.pop_back();
    EXPECT_EQ(std::system((command + " > /dev/null 2>&1").c_str()), 0) << command;
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
    EXPECT_NE(table.out.find("latest = "), std::string::npos) << table.out;
    const Outcome json = run_program({"checkpoints", "list", run_directory("run"), "--json"});
    EXPECT_GE(nlohmann::json::parse(json.out).at("checkpoints").size(), 8U);
    EXPECT_EQ(run_program({"checkpoints", "verify", run_directory("run")}).exit_code, 0);
    flip_byte(run_directory("run") + "/rolling/step_00000020/checkpoint.json", 40);
    EXPECT_EQ(run_program({"checkpoints", "verify", run_directory("run")}).exit_code, 3);
}

}  // namespace
}  // namespace holdfast::cli
