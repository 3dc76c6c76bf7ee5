// P1, P2, P4: a run whose ranks are killed, frozen and told to stop at random, that is started with
// another number of ranks each time it ended, has in the end the bits of one process that nobody
// disturbed. HOLDFAST_CHAOS_SECONDS (default 20) and HOLDFAST_CHAOS_SEED (1) make it the soak of
// tools/soak-chaos.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <signal.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "cli/small_run.h"

namespace holdfast::faults {
namespace {

// After which the others call a rank that does not answer lost.
constexpr double kLostSeconds = 3;
// Trained without harm after the chaos, so that both runs end alike.
constexpr std::int64_t kLastSteps = 5;
constexpr std::int64_t kStepsForEver = 1'000'000;

std::int64_t number_in_environment(const char* name, std::int64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoll(text);
}

void sleep_seconds(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

class SoakChaos : public cli::SmallRun {
protected:
    void SetUp() override {
        SmallRun::SetUp();
        random_.seed(static_cast<std::uint64_t>(number_in_environment("HOLDFAST_CHAOS_SEED", 1)));
    }

    [[nodiscard]] static std::vector<std::string> options_of(int ranks, std::int64_t steps) {
        std::vector<std::string> options = {
            "--nproc-per-node", std::to_string(ranks), "--max-steps", std::to_string(steps)};
        for (const char* word : {"--threads",
                                 "1",
                                 "--lanes",
                                 "4",
                                 "--micro-batch",
                                 "3",
                                 "--set",
                                 "schedule.steps=4000",
                                 "--checkpoint-freq",
                                 "10",
                                 "--eval-interval",
                                 "50",
                                 "--keep-checkpoints",
                                 "3",
                                 "--backup",
                                 "off",
                                 "--disk-warn-percent",
                                 "0",
                                 "--disk-alert-percent",
                                 "0"}) {
            options.emplace_back(word);
        }
        if (ranks > 1) {
            options.insert(options.end(),
                           {"--max-restarts",
                            "1000",
                            "--set",
                            fmt::format("dist.lost_after={}", kLostSeconds)});
        }
        return options;
    }

    double draw_seconds(double least, double most) {
        return std::uniform_real_distribution<double>(least, most)(random_);
    }
    std::size_t draw_index(std::size_t count) { return random_() % count; }

    // One of the processes that compute; the program itself when it is the only one.
    void signal_a_rank(const cli::RunningProgram& program, int number) {
        const std::vector<pid_t> ranks = program.children();
        if (ranks.empty()) {
            program.send_signal(number);
        } else {
            // One that has just ended is no longer there to be harmed.
            static_cast<void>(::kill(ranks.at(draw_index(ranks.size())), number));
        }
    }

    void harm(const cli::RunningProgram& program, bool has_ranks) {
        // Freezing for ever is rare: a group takes most of a minute to give such a rank up.
        static constexpr std::array<std::string_view, 10> kHarms{
            "kill", "kill", "kill", "kill", "pause", "pause", "stop", "stop", "end all", "freeze"};
        std::string_view harm = kHarms.at(draw_index(kHarms.size()));
        if (!has_ranks && (harm == "pause" || harm == "freeze")) {
            harm = "kill";
        }
        ++harms_[std::string(harm)];
        if (harm == "kill") {
            signal_a_rank(program, SIGKILL);
        } else if (harm == "stop") {
            signal_a_rank(program, SIGTERM);
        } else if (harm == "freeze") {
            signal_a_rank(program, SIGSTOP);
        } else if (harm == "end all") {
            program.send_signal(SIGKILL);
        } else {
            const std::vector<pid_t> ranks = program.children();
            if (!ranks.empty()) {
                const pid_t rank = ranks.at(draw_index(ranks.size()));
                static_cast<void>(::kill(rank, SIGSTOP));
                sleep_seconds(draw_seconds(0.05, kLostSeconds / 3));
                static_cast<void>(::kill(rank, SIGCONT));
            }
        }
    }

    void start(std::int64_t steps) {
        static constexpr std::array kRankCounts{1, 2, 4, 4};
        ranks_ = kRankCounts.at(draw_index(kRankCounts.size()));
        ++starts_;
        program_ = std::make_unique<cli::RunningProgram>(
            train_words("chaos", options_of(ranks_, steps)), directory_.path());
    }

    // Harms the run until `seconds` are over, then lets it stop by itself.
    void live_in_chaos(double seconds) {
        const double end_seconds = base::monotonic_seconds() + seconds;
        start(kStepsForEver);
        while (base::monotonic_seconds() < end_seconds) {
            const double harm_seconds = base::monotonic_seconds() + draw_seconds(0.2, 8);
            while (!program_->has_ended() && base::monotonic_seconds() < harm_seconds) {
                sleep_seconds(0.02);
            }
            if (program_->has_ended()) {
                expect_a_known_end(program_->finish());
                start(kStepsForEver);
            } else {
                harm(*program_, ranks_ > 1);
            }
        }
        program_->send_signal(SIGTERM);
        expect_a_known_end(program_->finish());
    }

    void expect_a_known_end(const cli::Outcome& outcome) {
        static constexpr std::array kKnown{1, 75, 128 + SIGKILL, 128 + SIGTERM};
        EXPECT_NE(std::find(kKnown.begin(), kKnown.end(), outcome.exit_code), kKnown.end())
            << outcome.exit_code << '\n'
            << outcome.log;
        for (std::size_t at = outcome.log.find("restart "); at != std::string::npos;
             at = outcome.log.find("restart ", at + 1)) {
            ++restarts_;
        }
    }

    std::mt19937_64 random_;
    std::unique_ptr<cli::RunningProgram> program_;
    int ranks_ = 1;
    std::int64_t starts_ = 0;
    std::int64_t restarts_ = 0;
    std::map<std::string, std::int64_t> harms_;
};

TEST_F(SoakChaos, P4_EndsWithTheBitsOfOneProcessNeverDisturbed) {
    live_in_chaos(static_cast<double>(number_in_environment("HOLDFAST_CHAOS_SECONDS", 20)));
    const std::int64_t steps = std::ssize(exact_lines("chaos")) + kLastSteps;
    const cli::Outcome last = train("chaos", options_of(2, steps));
    ASSERT_EQ(last.exit_code, 0) << last.log;
    const cli::Outcome straight = train("straight", options_of(1, steps));
    ASSERT_EQ(straight.exit_code, 0) << straight.log;
    EXPECT_EQ(exact_lines("chaos"), exact_lines("straight"));
    EXPECT_EQ(hash_of("chaos"), hash_of("straight"));
    const cli::Outcome verified =
        cli::run_program({"checkpoints", "verify", run_directory("chaos")});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.log;
    for (const auto& [harm, count] : harms_) {
        fmt::print("{:<10} {:>4}\n", harm, count);
    }
    fmt::print("{} steps, {} starts, {} restarts by the supervisor\n", steps, starts_, restarts_);
}

}  // namespace
}  // namespace holdfast::faults
