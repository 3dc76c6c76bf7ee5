#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "temporary_directory.h"

namespace holdfast::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Doctor : public testing::Test {
protected:
    [[nodiscard]] Outcome doctor(std::vector<std::string> more) const {
        std::vector<std::string> words = {"doctor", "--device", "cpu", "--dir", directory_.path()};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words);
    }
    [[nodiscard]] bool nothing_left() const { return std::filesystem::is_empty(directory_.path()); }

    TemporaryDirectory directory_;
};

// How often each topic was told with that verdict.
std::map<std::string, int> topics_with(const nlohmann::json& report, const std::string& verdict) {
    std::map<std::string, int> topics;
    for (const auto& check : report.at("checks")) {
        topics[check.at("topic")] += check.at("verdict") == verdict ? 1 : 0;
    }
    return topics;
}

TEST_F(Doctor, ProvesEachRankAndTheExchangeBetweenThem) {
    const Outcome outcome = doctor({"--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log << outcome.out;
    const nlohmann::json report = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(report.at("failed"), 0);
    auto fine = topics_with(report, "ok");
    EXPECT_EQ(fine["kernels"], 2) << "two ranks where there is no GPU";
    EXPECT_EQ(fine["model"], 2);
    EXPECT_EQ(fine["exchange"], 1);
    for (const char* topic : {"program", "processor", "GPUs", "memory", "disk"}) {
        EXPECT_EQ(fine[topic], 1) << topic;
    }
    EXPECT_TRUE(nothing_left());
}

TEST_F(Doctor, TellsPeopleLineByLine) {
    const Outcome outcome = doctor({"--nproc-per-node", "1"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log << outcome.out;
    EXPECT_THAT(outcome.out, StartsWith("this machine, 1 rank(s) on the CPU\n  ok    program  "));
    EXPECT_THAT(outcome.out, HasSubstr("\n  ok    model      rank 0 on cpu: "));
    EXPECT_THAT(outcome.out, Not(HasSubstr("exchange")));
    EXPECT_THAT(outcome.out, testing::EndsWith("nothing failed\n"));
    EXPECT_TRUE(nothing_left());
}

TEST_F(Doctor, ADiskThatCannotBeWrittenFails) {
    const Outcome outcome = run_program({"doctor",
                                         "--device",
                                         "cpu",
                                         "--nproc-per-node",
                                         "1",
                                         "--dir",
                                         directory_.path() + "/missing"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.out, HasSubstr("\n  FAIL  disk  "));
    EXPECT_THAT(outcome.out, HasSubstr("No such file or directory"));
    EXPECT_THAT(outcome.out, HasSubstr("\n  ok    kernels  "))
        << "the rest is checked all the same";
    EXPECT_THAT(outcome.out, testing::EndsWith("1 of the checks failed\n"));
}

TEST_F(Doctor, WhatFailedIsToldOnceByRanksToo) {
    const Outcome outcome =
        run_program({"doctor", "--device", "cpu", "--dir", directory_.path() + "/missing"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.out, HasSubstr("\n  FAIL  disk  "));
    EXPECT_THAT(outcome.out, HasSubstr("\n  ok    exchange  "));
    EXPECT_THAT(outcome.log, Not(HasSubstr("failed")));
}

TEST_F(Doctor, P7_WrongRequestsAreRefused) {
    for (const auto& [words, message] :
         {std::pair(std::vector<std::string>{"--device", "tpu"}, "found 'tpu'"),
          std::pair(std::vector<std::string>{"--nproc-per-node", "0"}, "--nproc-per-node"),
          std::pair(std::vector<std::string>{"here"}, "options only")}) {
        std::vector<std::string> all = {"doctor"};
        all.insert(all.end(), words.begin(), words.end());
        const Outcome outcome = run_program(all);
        EXPECT_EQ(outcome.exit_code, 2);
        EXPECT_THAT(outcome.log, HasSubstr(message));
    }
}

}  // namespace
}  // namespace holdfast::cli
