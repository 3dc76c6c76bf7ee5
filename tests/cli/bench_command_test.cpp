#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "temporary_directory.h"

namespace holdfast::cli {
namespace {

class BenchCommand : public testing::Test {
protected:
    [[nodiscard]] bool nothing_left() const { return std::filesystem::is_empty(directory_.path()); }
    // Its own output elsewhere, so that the folder it measures in can be seen empty.
    TemporaryDirectory directory_;
    TemporaryDirectory output_;
};

TEST_F(BenchCommand, ReportsEveryMeasurementAsJson) {
    const Outcome outcome = run_program({"bench",
                                         "checkpoint",
                                         "--bytes",
                                         "40M",
                                         "--repeat",
                                         "2",
                                         "--dir",
                                         directory_.path(),
                                         "--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    const nlohmann::json report = nlohmann::json::parse(outcome.out);
    EXPECT_NEAR(report.at("bytes").get<double>(), 40e6, 2e6);
    EXPECT_EQ(report.at("rounds"), 2);
    for (const auto* key : {"directory",
                            "copy_threads",
                            "read_threads",
                            "disk_path",
                            "listed_checkpoints",
                            "extra_memory_bytes"}) {
        EXPECT_TRUE(report.contains(key)) << key;
    }
    EXPECT_GE(report.at("extra_memory_bytes").get<double>(), report.at("bytes").get<double>());
    for (const auto* key : {"copy",
                            "copy_all",
                            "capture",
                            "disk_write",
                            "disk_read",
                            "save",
                            "save_write",
                            "save_verify",
                            "save_publish",
                            "read_device",
                            "load_device",
                            "read_cache",
                            "load_cache",
                            "list"}) {
        const nlohmann::json& measured = report.at("measurements").at(key);
        EXPECT_GT(measured.at("median_ms").get<double>(), 0) << key;
        EXPECT_LE(measured.at("min_ms"), measured.at("median_ms")) << key;
        EXPECT_GE(measured.at("max_ms"), measured.at("median_ms")) << key;
        EXPECT_TRUE(measured.contains("gb_per_second")) << key;
    }
    for (const auto* key : {"capture/copy",
                            "capture/copy_all",
                            "save/disk_write",
                            "load_device/read_device",
                            "load_cache/read_cache"}) {
        EXPECT_GT(report.at("ratios").at(key).get<double>(), 0) << key;
    }
    EXPECT_TRUE(nothing_left());
}

TEST_F(BenchCommand, OfASmallStateItGivesNoRatiosAndSaysSo) {
    const std::vector<std::string> small{
        "bench", "checkpoint", "--bytes", "4M", "--repeat", "1", "--dir", directory_.path()};
    const Outcome table = run_program(small);
    ASSERT_EQ(table.exit_code, 0) << table.log;
    EXPECT_NE(table.out.find("no ratios: below 32.0 MiB of state they say nothing"),
              std::string::npos)
        << table.out;
    EXPECT_EQ(table.out.find("median of the rounds"), std::string::npos) << table.out;
    std::vector<std::string> as_json = small;
    as_json.emplace_back("--json");
    const nlohmann::json report = nlohmann::json::parse(run_program(as_json).out);
    EXPECT_TRUE(report.at("ratios").is_object() && report.at("ratios").empty());
    EXPECT_GT(report.at("measurements").at("save").at("median_ms").get<double>(), 0);
}

// What two ranks and more send each other, for `words` behind the size.
nlohmann::json collective_report(const std::vector<std::string>& more) {
    std::vector<std::string> words = {
        "bench", "collective", "--device", "cpu", "--bytes", "4M", "--repeat", "2", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run_program(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    return nlohmann::json::parse(outcome.out, nullptr, false);
}

TEST_F(BenchCommand, TwoRanksSendTheBytesOfTheFormulaAlsoByTheKernelsCount) {
    const nlohmann::json report = collective_report({"--nproc-per-node", "2"});
    ASSERT_TRUE(report.is_object());
    EXPECT_EQ(report.at("ranks"), 2);
    EXPECT_EQ(report.at("rounds"), 2);
    EXPECT_TRUE(report.at("local_ranks").is_null());
    const auto elements = report.at("elements").get<std::int64_t>();
    EXPECT_NEAR(static_cast<double>(elements), 1e6, 3e5);
    EXPECT_GT(report.at("buckets").get<int>(), 2);
    EXPECT_EQ(report.at("gradient_bytes"), 4 * elements);
    EXPECT_EQ(report.at("weights"), "bf16");
    EXPECT_EQ(report.at("weight_bytes"), 2 * elements);
    const nlohmann::json& sent = report.at("sent_bytes");
    EXPECT_EQ(sent.at("formula"), 3 * elements);
    EXPECT_EQ(sent.at("counted"), 3 * elements);
    // Beside them: the norm's sums, headers of gloo, heartbeats.
    EXPECT_GE(sent.at("sockets").get<std::int64_t>(), 3 * elements);
    EXPECT_LE(sent.at("sockets").get<double>(), 3.06 * static_cast<double>(elements));
    for (const auto* key : {"exchange", "raw", "all_reduce"}) {
        const nlohmann::json& measured = report.at("measurements").at(key);
        EXPECT_GT(measured.at("median_ms").get<double>(), 0) << key;
        EXPECT_LE(measured.at("min_ms"), measured.at("median_ms")) << key;
        EXPECT_GE(measured.at("max_ms"), measured.at("median_ms")) << key;
        EXPECT_GT(measured.at("gb_per_second").get<double>(), 0) << key;
    }
    EXPECT_FALSE(report.at("measurements").contains("staged_exchange"));
    for (const auto* key : {"exchange/raw", "exchange/all_reduce"}) {
        EXPECT_GT(report.at("ratios").at(key).get<double>(), 0) << key;
    }
}

TEST_F(BenchCommand, RanksThatCountAsNodesExchangeInTwoStagesToo) {
    const nlohmann::json report =
        collective_report({"--nproc-per-node", "4", "--local-ranks", "2", "--precision", "fp32"});
    ASSERT_TRUE(report.is_object());
    EXPECT_EQ(report.at("local_ranks"), 2);
    const auto elements = report.at("elements").get<std::int64_t>();
    EXPECT_EQ(report.at("sent_bytes").at("formula"), 8 * elements * 3 / 4);
    EXPECT_EQ(report.at("sent_bytes").at("counted"), 8 * elements * 3 / 4);
    EXPECT_GT(report.at("measurements").at("staged_exchange").at("median_ms").get<double>(), 0);
    EXPECT_GT(report.at("ratios").at("staged_exchange/exchange").get<double>(), 0);
}

TEST_F(BenchCommand, RemovesItsFolderWhenInterrupted) {
    RunningProgram program(
        {"bench", "checkpoint", "--bytes", "40M", "--repeat", "100000", "--dir", directory_.path()},
        output_.path());
    while (nothing_left()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    program.send_signal(SIGINT);
    EXPECT_EQ(program.finish().exit_code, 130);
    EXPECT_TRUE(nothing_left());
}

TEST_F(BenchCommand, P7_WrongRequestsAreRefused) {
    const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
        {{"bench"}, "bench checkpoint"},
        {{"bench", "tokenizer"}, "bench checkpoint"},
        {{"bench", "tokenizer"}, "bench collective"},
        {{"bench", "checkpoint", "more"}, "more"},
        {{"bench", "checkpoint", "--nproc-per-node", "2"}, "--nproc-per-node"},
        {{"bench", "checkpoint", "--repeat", "0"}, "--repeat"},
        {{"bench", "checkpoint", "--bytes", "10"}, "--bytes"},
        {{"bench", "checkpoint", "--bytes", "10M", "--config", "x"}, "--config"},
        {{"bench", "checkpoint", "--dir", directory_ / "nowhere"}, "nowhere"},
        {{"bench", "checkpoint", "--config", directory_ / "nowhere.json"}, "nowhere.json"},
        {{"bench", "collective", "--device", "cpu"}, "--nproc-per-node 2 or more"},
        {{"bench", "collective", "--nproc-per-node", "0"}, "--nproc-per-node"},
        {{"bench", "collective", "--nproc-per-node", "2", "--bytes", "10"}, "--bytes"},
        {{"bench", "collective", "--nproc-per-node", "2", "--bytes", "4M", "--repeat", "x"},
         "--repeat"},
        {{"bench", "collective", "--nproc-per-node", "2", "--bytes", "4M", "--config", "x"},
         "--config"},
        {{"bench", "collective", "--nproc-per-node", "2", "--precision", "fp8"}, "--precision"},
        {{"bench", "collective", "--nproc-per-node", "2", "--device", "tpu"}, "--device"},
        {{"bench", "collective", "--nproc-per-node", "4", "--local-ranks", "3"}, "--local-ranks"},
        {{"bench", "collective", "--nproc-per-node", "4", "--local-ranks", "4"}, "--local-ranks"},
    };
    for (const auto& [words, part] : wrong) {
        const Outcome outcome = run_program(words);
        EXPECT_EQ(outcome.exit_code, 2) << part << ": " << outcome.log;
        EXPECT_NE(outcome.log.find(part), std::string::npos) << outcome.log;
        EXPECT_EQ(lines_of(outcome.log).size(), 1U) << outcome.log;
    }
    EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace holdfast::cli
