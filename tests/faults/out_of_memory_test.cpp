// P1, P2: memory that runs out in the middle of a step of the real program. Whatever allocation it
// is that fails, the run ends with exit 5 and one line that tells what is saved and what to change,
// no checkpoint is of a step half done, and it goes on with the bits of a run never stopped.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/small_run.h"

namespace holdfast::faults {
namespace {

constexpr int kExitOutOfMemory = 5;
// A save is due at step 5 and at step 10, an evaluation at each fourth.
constexpr const char* kSteps = "12";

class OutOfMemory : public cli::SmallRun {
protected:
    static std::vector<std::string> options() {
        return {"--max-steps",
                kSteps,
                "--warmup-steps",
                "2",
                "--eval-interval",
                "4",
                "--checkpoint-freq",
                "5",
                "--disk-warn-percent",
                "0",
                "--disk-alert-percent",
                "0",
                "--backup",
                "off"};
    }

    cli::Outcome run_out(const std::string& name, std::int64_t line, std::int64_t skip) {
        return cli::run_program(train_words(name, options()),
                                {"LD_PRELOAD=" HOLDFAST_MEMORY_FAULT,
                                 fmt::format("HOLDFAST_MEMORY_FAULTS={} {}", line, skip)});
    }

    void make_straight_run() {
        const cli::Outcome straight = train("straight", options());
        ASSERT_EQ(straight.exit_code, 0) << straight.log;
        straight_lines_ = exact_lines("straight");
        straight_hash_ = hash_of("straight");
    }

    void expect_same_end(const std::string& name) {
        std::vector<std::string> again = options();
        again.insert(again.end(), {"--resume", "latest"});
        const cli::Outcome resumed = train(name, again);
        EXPECT_EQ(resumed.exit_code, 0) << resumed.log;
        EXPECT_EQ(exact_lines(name), straight_lines_);
        EXPECT_EQ(hash_of(name), straight_hash_);
        const cli::Outcome verified =
            cli::run_program({"checkpoints", "verify", run_directory(name)});
        EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.log;
    }

    // The last line of the log.
    static std::string last_words(const cli::Outcome& outcome) {
        const std::vector<std::string> lines = cli::lines_of(outcome.log);
        return lines.empty() ? "" : lines.back();
    }

    std::vector<std::string> straight_lines_;
    std::string straight_hash_;
};

TEST_F(OutOfMemory, P2_SavesTheLastWholeStepAndGoesOnWithTheSameBits) {
    make_straight_run();
    const cli::Outcome outcome = run_out("run", 6, 0);
    EXPECT_EQ(outcome.exit_code, kExitOutOfMemory) << outcome.log;
    const std::string words = last_words(outcome);
    for (const char* part : {"holdfast: error: out of memory after step 6 (",
                             "; step 6 is saved as emergency/",
                             "; this process held ",
                             " MiB were planned, ",
                             "batch.micro_batch = 4: give it more, raise model.recompute"}) {
        EXPECT_NE(words.find(part), std::string::npos) << part << '\n' << outcome.log;
    }
    EXPECT_NE(outcome.log.find("go on with: "), std::string::npos) << outcome.log;
    expect_same_end("run");
}

// Between the update of the weights and the note of what the step was, nothing can be saved. Where
// that is is found by halves: before it step 3 is saved, behind it step 4.
TEST_F(OutOfMemory, P1_AStepHalfDoneIsNotSaved) {
    make_straight_run();
    std::int64_t before = 0;
    std::int64_t behind = 8192;
    cli::Outcome outcome;
    std::string name;
    while (behind - before > 1) {
        const std::int64_t skip = (before + behind) / 2;
        name = fmt::format("run-{}", skip);
        outcome = run_out(name, 3, skip);
        ASSERT_EQ(outcome.exit_code, kExitOutOfMemory) << outcome.log;
        if (outcome.log.find("nothing is saved") != std::string::npos) {
            break;
        }
        const bool is_before = outcome.log.find("; step 3 is saved as ") != std::string::npos;
        (is_before ? before : behind) = skip;
    }
    ASSERT_GT(behind - before, 1) << "no allocation stands there";
    EXPECT_NE(last_words(outcome).find("a step was half done, so nothing is saved; the newest "
                                       "checkpoint is rolling/step_00000000; this process held "),
              std::string::npos)
        << outcome.log;
    EXPECT_FALSE(std::filesystem::exists(run_directory(name) + "/best/step_00000004"));
    expect_same_end(name);
}

// A step that is evaluated and one that is saved, at every 337th allocation.
TEST_F(OutOfMemory, P2_AtWhateverAllocationOfAStep) {
    make_straight_run();
    constexpr std::int64_t kAllocations = 1700;
    std::int64_t tried = 0;
    std::int64_t unsaved = 0;
    std::int64_t ended = 0;
    const std::int64_t stride = std::getenv("HOLDFAST_FULL_SWEEP") == nullptr ? 337 : 29;
    for (const std::int64_t line : {3, 4}) {
        for (std::int64_t skip = 10; skip < kAllocations; skip += stride) {
            SCOPED_TRACE(fmt::format("line {}, allocation {}", line, skip));
            const std::string name = fmt::format("run-{}-{}", line, skip);
            const cli::Outcome outcome = run_out(name, line, skip);
            ASSERT_NE(outcome.log.find("memory-fault "), std::string::npos);
            // What another thread gives back may be enough to come to the end.
            if (outcome.exit_code != 0) {
                ASSERT_EQ(outcome.exit_code, kExitOutOfMemory) << outcome.log;
                ASSERT_TRUE(last_words(outcome).starts_with("holdfast: error: out of memory"))
                    << outcome.log;
            }
            ended += outcome.exit_code == 0 ? 1 : 0;
            ++tried;
            unsaved += outcome.log.find("nothing is saved") == std::string::npos ? 0 : 1;
            expect_same_end(name);
            ASSERT_FALSE(HasFailure());
            std::filesystem::remove_all(run_directory(name));
        }
    }
    fmt::print("{} places, {} in which nothing could be saved, {} runs that came to their end\n",
               tried,
               unsaved,
               ended);
    EXPECT_LT(unsaved * 10, tried);
    EXPECT_LT(ended * 4, tried);
}

TEST_F(OutOfMemory, AModelThatCannotFitEndsWithTheNumbers) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
    const rlimit small{rlim_t{6} << 30U, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &small), 0);
    const cli::Outcome outcome =
        train("run", {"--n-layer", "48", "--n-head", "32", "--n-embd", "4096"});
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
    EXPECT_EQ(outcome.exit_code, kExitOutOfMemory) << outcome.log;
    EXPECT_NE(last_words(outcome).find("bytes of memory left"), std::string::npos) << outcome.log;
}

}  // namespace
}  // namespace holdfast::faults
