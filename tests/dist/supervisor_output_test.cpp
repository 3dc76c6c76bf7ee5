// Ranks' output on its way through the supervisor: whole lines, and no rank that waits for ever.
#include <array>
#include <map>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/launched_program.h"
#include "dist/owned_descriptor.h"

namespace holdfast::dist {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SupervisorOutput, LinesOfManyRanksAreWholeAndPrefixed) {
    constexpr int kRanks = 5;
    constexpr int kLines = 300;
    const Outcome outcome =
        run_launched({fmt::format("nproc={}", kRanks), "--", fmt::format("lines={}", kLines)});
    ASSERT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(lines_in(outcome.out).size(), static_cast<std::size_t>(kRanks * kLines));
    for (int rank = 0; rank < kRanks; ++rank) {
        const std::string prefix = rank == 0 ? "" : fmt::format("[rank {}] ", rank);
        const std::vector<std::string> lines = lines_after(outcome.out, prefix + "line ");
        ASSERT_EQ(lines.size(), static_cast<std::size_t>(kLines)) << "rank " << rank;
        for (int i = 0; i < kLines; ++i) {
            EXPECT_EQ(lines[static_cast<std::size_t>(i)],
                      fmt::format("{} of rank {} and its end", i, rank));
        }
    }
}

TEST(SupervisorOutput, StreamsStayApart) {
    const Outcome outcome = run_launched({"nproc=2", "--", "say=to stdout", "err=to stderr"});
    EXPECT_THAT(lines_in(outcome.out),
                testing::UnorderedElementsAre("to stdout", "[rank 1] to stdout"));
    EXPECT_THAT(lines_in(outcome.log),
                testing::UnorderedElementsAre("to stderr", "[rank 1] to stderr"));
}

TEST(SupervisorOutput, RankZeroPassesByteByByte) {
    const Outcome outcome = run_launched(
        {"nproc=2", "--", "0:part=step 1\rstep 2\r", "0:long=200000", "0:part=no newline"});
    ASSERT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "step 1\rstep 2\r" + repeated('x', 200000) + "\nno newline");
}

TEST(SupervisorOutput, ALineTooLongIsCut) {
    const Outcome outcome = run_launched({"nproc=2", "--", "1:long=70000", "1:part=rest"});
    EXPECT_THAT(lines_in(outcome.out),
                ElementsAre("[rank 1] " + repeated('x', 65536) + " [cut: a line of 70000 bytes]",
                            "[rank 1] rest"));
}

TEST(SupervisorOutput, OnePlaceForBothStreamsHasWholeLines) {
    LaunchedProgram program({"nproc=4", "--", "lines=200", "err=done"},
                            [] { ::dup2(STDOUT_FILENO, STDERR_FILENO); });
    const Outcome outcome = program.finish();
    ASSERT_EQ(outcome.exit_code, 0);
    const std::vector<std::string> lines = lines_in(outcome.out);
    EXPECT_EQ(lines.size(), 4U * 201U);
    for (const std::string& line : lines) {
        EXPECT_THAT(line,
                    testing::ContainsRegex("^(\\[rank [1-3]\\] )?(line [0-9]+ of rank [0-3] "
                                           "and its end|done)$"));
    }
}

// A pipe as the program's stdout, which nobody reads until the test does.
class Reader {
public:
    Reader() {
        base::Result<Pipe> made = make_pipe();
        EXPECT_TRUE(made.ok());
        pipe_ = std::move(made).value();
    }
    void take_over() const { ::dup2(pipe_.write_end.number(), STDOUT_FILENO); }
    void close_write_end() { pipe_.write_end.close(); }
    void close_read_end() { pipe_.read_end.close(); }
    std::string read_all() {
        close_write_end();
        std::string text;
        std::array<char, 65536> buffer{};
        for (;;) {
            const ssize_t count = ::read(pipe_.read_end.number(), buffer.data(), buffer.size());
            if (count <= 0) {
                return text;
            }
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }

private:
    Pipe pipe_;
};

TEST(SupervisorOutput, ASlowReaderLosesNothing) {
    Reader reader;
    LaunchedProgram program({"nproc=3", "--", "flood=4000000", "err=done"},
                            [&] { reader.take_over(); });
    ::usleep(200000);  // the pipes and the queue are full by now; the result does not depend on it
    const std::string text = reader.read_all();
    EXPECT_EQ(program.finish().exit_code, 0);
    constexpr int kLines = 3907;
    EXPECT_EQ(count_of(text, repeated('f', 1023) + "\n"), 3 * kLines);
    EXPECT_EQ(count_of(text, "[rank 1] fff"), kLines);
    EXPECT_EQ(count_of(text, "[rank 2] fff"), kLines);
}

TEST(SupervisorOutput, ABlockedOutputDoesNotKeepRanksFromStopping) {
    Reader reader;
    LaunchedProgram program({"nproc=3",
                             "--",
                             "catch",
                             "err=ready",
                             "0:flood=20000000",
                             "1:flood=20000000",
                             "signals=1",
                             "exit=143"},
                            [&] { reader.take_over(); });
    ASSERT_TRUE(program.wait_for_log("ready", 3));
    program.send(SIGTERM);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 143);
    EXPECT_THAT(outcome.log, HasSubstr("lines of stdout were left out: it did not take them"));
}

TEST(SupervisorOutput, ABlockedOutputDoesNotKeepAFailureFromEndingTheRun) {
    Reader reader;
    LaunchedProgram program({"nproc=2",
                             "grace=0",
                             "kill=0.05",
                             "--",
                             "0:ignore=15",
                             "0:err=ready",
                             "1:exists={dir}/go",
                             "1:exit=9",
                             "flood=1000000000000"},
                            [&] { reader.take_over(); });
    ASSERT_TRUE(program.wait_for_log("ready"));
    program.make_file("go");
    ASSERT_TRUE(program.wait_for_log("rank 1 failed first"));
    program.send(SIGTERM);  // what is left to say is given up
    EXPECT_EQ(program.finish().exit_code, 9);
}

TEST(SupervisorOutput, AReaderThatIsGoneDoesNotEndTheRun) {
    Reader reader;
    LaunchedProgram program(
        {"nproc=2", "--", "exists={dir}/go", "say=unheard", "err=heard", "exit=0"},
        [&] { reader.take_over(); });
    reader.close_write_end();
    reader.close_read_end();
    program.make_file("go");
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.log, HasSubstr("[rank 1] heard"));
    EXPECT_THAT(outcome.log, HasSubstr("holdfast: 2 lines of stdout were left out: Broken pipe"));
}

TEST(SupervisorOutput, AClosedOutputDoesNotEndTheRun) {
    LaunchedProgram program({"nproc=2", "--", "1:say=unheard", "err=heard", "descriptors"},
                            [] { ::close(STDOUT_FILENO); });
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.log, HasSubstr("lines of stdout were left out: Bad file descriptor"));
}

}  // namespace
}  // namespace holdfast::dist
