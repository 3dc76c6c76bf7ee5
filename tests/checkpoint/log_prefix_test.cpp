#include "checkpoint/log_prefix.h"

#include <gmock/gmock.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::HasSubstr;

class LogResumeTest : public RunFixture {
protected:
    LogResumeTest() { std::filesystem::create_directories(dir_); }
    static LogPrefix prefix_of(const std::string& text) {
        return {text.size(), base::checksum64(text)};
    }
    base::Result<LogResume> resume(const LogPrefix& prefix) {
        return resume_log(*file_system_, RunPaths::of(dir_), prefix, identity_);
    }
    void write(const std::string& text) const {
        std::ofstream(in_run("metrics.jsonl"), std::ios::binary | std::ios::trunc) << text;
    }
    const Identity identity_{2, 500, "00000000000000ff"};
    const std::string tail_ = in_run("metrics.2-00000000000000ff.jsonl");
};

TEST_F(LogResumeTest, CutsTheTailAndKeepsIt) {
    write("one\ntwo\nthree\nfo");
    auto resumed = resume(prefix_of("one\ntwo\n"));
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_TRUE(resumed.value().matched);
    EXPECT_EQ(resumed.value().cut_bytes, 8U);
    EXPECT_EQ(slurp(in_run("metrics.jsonl")), "one\ntwo\n");
    EXPECT_EQ(resumed.value().tail_path, tail_);
    EXPECT_EQ(slurp(tail_), "three\nfo");
    resumed.value().running.update("x");
    EXPECT_EQ(resumed.value().running.digest64(), base::checksum64("one\ntwo\nx"));
}

TEST_F(LogResumeTest, ALaterTailNeverOverwritesAnEarlierOne) {
    for (const auto* tail : {"first\n", "second\n", "first\n"}) {
        write(std::string("one\n") + tail);
        ASSERT_TRUE(resume(prefix_of("one\n")).ok());
    }
    EXPECT_EQ(slurp(tail_), "first\n");
    EXPECT_EQ(slurp(in_run("metrics.2-00000000000000ff.2.jsonl")), "second\n");
    EXPECT_FALSE(std::filesystem::exists(in_run("metrics.2-00000000000000ff.3.jsonl")));
}

TEST_F(LogResumeTest, WhatDoesNotMatchIsReportedAndLeft) {
    write("One\ntwo\nthree\n");
    auto resumed = resume(prefix_of("one\ntwo\n"));
    ASSERT_TRUE(resumed.ok());
    EXPECT_FALSE(resumed.value().matched);
    EXPECT_THAT(resumed.value().problem, HasSubstr("was changed"));
    EXPECT_EQ(slurp(in_run("metrics.jsonl")), "One\ntwo\nthree\n");
    EXPECT_EQ(resumed.value().running.digest64(), base::checksum64("One\ntwo\nthree\n"));
    write("one");
    EXPECT_THAT(resume(prefix_of("one\ntwo\n")).value().problem,
                HasSubstr("the checkpoint knew 8"));
    std::filesystem::remove(in_run("metrics.jsonl"));
    EXPECT_THAT(resume(prefix_of("one\n")).value().problem, HasSubstr("is gone"));
    EXPECT_TRUE(resume(LogPrefix{}).value().matched);
}

TEST_F(LogResumeTest, P1_CrashAtAnyCallThenAgainGivesTheSame) {
    const LogPrefix prefix = prefix_of("one\ntwo\n");
    for (std::uint64_t k = 1;; ++k) {
        std::filesystem::remove(tail_);
        write("one\ntwo\nthree\n");
        faults_.arm({.at_call = k, .crash = true});
        static_cast<void>(resume(prefix).ok());
        const bool fired = faults_.fired();
        faults_.disarm();
        ASSERT_TRUE(resume(prefix).ok()) << k;
        EXPECT_EQ(slurp(in_run("metrics.jsonl")), "one\ntwo\n") << k;
        EXPECT_EQ(slurp(tail_), "three\n") << k;
        if (!fired) {
            break;
        }
        ASSERT_LT(k, 100U);
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
