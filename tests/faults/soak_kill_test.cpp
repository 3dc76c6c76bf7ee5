// P1, P2: the real program, killed again and again, at named points and at random times, ends with
// the bits of a run never stopped. HOLDFAST_SOAK_KILLS (default 25) and HOLDFAST_SOAK_SEED (1) make
// it the soak of tools/soak-kill.
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <signal.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/small_run.h"
#include "faults/kill_points.h"

namespace holdfast::faults {
namespace {

namespace stdfs = std::filesystem;

constexpr std::int64_t kSteps = 60;
constexpr std::int64_t kSaveInterval = 2;
constexpr std::int64_t kEvalInterval = 4;
constexpr std::size_t kKept = 2;
// A point that is not reached ends, so that the run is killed all the same, after this many lines.
constexpr std::int64_t kLinesMax = 14;
// Copies of an arena that a resume makes before the first capture.
constexpr std::int64_t kRestoredArenas = 3;
constexpr std::int64_t kEvaluationMicroseconds = 2000;
constexpr std::int64_t kRandomMicroseconds = 600'000;

std::int64_t number_in_environment(const char* name, std::int64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoll(text);
}

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code missing;  // a run that was killed at its first start has no pools
    for (const auto& entry : stdfs::directory_iterator(folder, missing)) {
        names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
}

// The step in "step_00000012" or "... at step 12 ..."; -1 when there is none.
std::int64_t number_after(const std::string& text, std::string_view before) {
    const std::size_t at = text.find(before);
    std::int64_t number = -1;
    if (at != std::string::npos) {
        std::from_chars(text.data() + at + before.size(), text.data() + text.size(), number);
    }
    return number;
}

struct Tally {
    std::int64_t tried = 0;
    std::int64_t killed_there = 0;
    std::int64_t killed_elsewhere = 0;
};

class SoakKill : public cli::SmallRun {
protected:
    void SetUp() override {
        SmallRun::SetUp();
        const cli::Outcome straight = train("straight", options());
        ASSERT_EQ(straight.exit_code, 0) << straight.log;
        straight_lines_ = exact_lines("straight");
        straight_hash_ = hash_of("straight");
        ASSERT_EQ(straight_lines_.size(), static_cast<std::size_t>(kSteps));
    }

    static std::vector<std::string> options() {
        return {"--max-steps",
                std::to_string(kSteps),
                "--checkpoint-freq",
                std::to_string(kSaveInterval),
                "--eval-interval",
                std::to_string(kEvalInterval),
                "--keep-checkpoints",
                std::to_string(kKept),
                "--keep-every",
                "8",
                // How full the disk of this machine is says nothing about the run.
                "--disk-warn-percent",
                "0",
                "--disk-alert-percent",
                "0",
                // Copies would count among the calls of a save.
                "--backup",
                "off"};
    }

    // From 1 to `most`.
    std::int64_t draw(std::int64_t most) {
        return 1 + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most));
    }

    // The step of the newest checkpoint under its final name; -1 when there is none.
    [[nodiscard]] std::int64_t newest_published() const {
        std::int64_t newest = -1;
        for (const char* pool : {"/rolling", "/best", "/keep"}) {
            for (const std::string& name : names_in(run_directory(name_) + pool)) {
                newest = std::max(newest, number_after(name, "step_"));
            }
        }
        return newest;
    }

    std::string rule_of(const KillPoint& point) {
        if (point.name == kRandomTime) {
            return fmt::format("open */config.json 1 kill-within:{}", draw(kRandomMicroseconds));
        }
        const std::int64_t newest = newest_published();
        if (point.name == kCapture) {
            return fmt::format("copy tensor/[1-9]?????* {} {}",
                               (newest >= 0 ? kRestoredArenas : 0) + draw(9),
                               draw(2) == 1 ? "kill-before" : "kill-after");
        }
        if (point.name == kEvaluation) {
            const std::int64_t evaluated =
                (std::max<std::int64_t>(newest, 0) / kEvalInterval + draw(2)) * kEvalInterval;
            const std::int64_t nth =
                newest < 0 ? evaluated / kSaveInterval + 1 : (evaluated - newest) / kSaveInterval;
            return fmt::format("fallocate */.pending-*/model.safetensors {} kill-within:{}",
                               nth,
                               draw(kEvaluationMicroseconds));
        }
        const KillCall& call =
            point.calls.at(static_cast<std::size_t>(draw(std::ssize(point.calls)) - 1));
        const auto action = static_cast<std::size_t>(draw(std::ssize(call.actions)) - 1);
        return fmt::format(
            "{} {} {} {}", call.call, call.pattern, draw(call.nth_max), call.actions.at(action));
    }

    // In the evaluation of a step, its line is the next one.
    [[nodiscard]] bool stands_before_an_evaluated_line() const {
        const auto lines = cli::lines_of(cli::read_text(metrics_path(name_)));
        return static_cast<std::int64_t>(lines.size() + 1) % kEvalInterval == 0;
    }

    static cli::Outcome run_with_faults(const std::vector<std::string>& words,
                                        const std::string& rules) {
        return cli::run_program(
            words, {"LD_PRELOAD=" HOLDFAST_CALL_FAULT, "HOLDFAST_CALL_FAULTS=" + rules});
    }

    // Starts the run once more with `rules`. What it tells before it dies must be that it goes on
    // from the newest checkpoint, and nothing else.
    cli::Outcome start_again(const std::string& rules) {
        const std::int64_t newest = newest_published();
        std::vector<std::string> words = options();
        words.insert(words.end(), {"--resume", newest >= 0 && draw(2) == 1 ? "latest" : "auto"});
        const cli::Outcome outcome =
            cli::run_program(train_words(name_, words),
                             {"LD_PRELOAD=" HOLDFAST_CALL_FAULT, "HOLDFAST_CALL_FAULTS=" + rules});
        const std::int64_t resumed_at = number_after(outcome.log, " at step ");
        if (outcome.log.find("resumed from ") != std::string::npos) {
            EXPECT_GE(resumed_at, newest) << rules << '\n' << outcome.log;
        }
        for (const std::string& line : cli::lines_of(outcome.log)) {
            const bool slow_disk = line.find(" is skipped: ") != std::string::npos;
            const bool complaint = line.starts_with("warning: ") || line.starts_with("ALARM: ");
            EXPECT_TRUE(!complaint || slow_disk) << rules << '\n' << outcome.log;
        }
        return outcome;
    }

    // False when the run came to its end instead.
    bool kill_at(const KillPoint& point) {
        const std::string rule = rule_of(point);
        const cli::Outcome outcome =
            start_again(fmt::format("{};pwrite */metrics.jsonl {} kill-after", rule, kLinesMax));
        Tally& tally = tallies_[std::string(point.name)];
        ++tally.tried;
        if (outcome.exit_code == 0) {
            return false;
        }
        EXPECT_EQ(outcome.exit_code, 128 + SIGKILL) << rule << '\n' << outcome.log;
        ++kills_;
        bool there = outcome.log.find("call-fault 0 ") != std::string::npos &&
                     outcome.log.find("call-fault 1 ") == std::string::npos;
        if (point.name == kEvaluation) {
            there = there && stands_before_an_evaluated_line();
        }
        ++(there ? tally.killed_there : tally.killed_elsewhere);
        return true;
    }

    // The next points, each with the one before that it needs.
    std::vector<KillPoint> next_points() {
        if (queue_.empty()) {
            queue_ = kill_points();
            for (const std::string_view name : {kCapture, kEvaluation, kRandomTime, kRandomTime}) {
                queue_.push_back({name, {}, ""});
            }
            std::shuffle(queue_.begin(), queue_.end(), random_);
        }
        std::vector<KillPoint> points{queue_.back()};
        queue_.pop_back();
        for (const KillPoint& before : kill_points()) {
            if (before.name == points.back().after) {
                points.insert(points.begin(), before);
            }
        }
        return points;
    }

    // One run, killed until it comes to its end or all kills are spent; then what it left is
    // checked.
    void live_one_run(std::int64_t kills_wanted) {
        name_ = fmt::format("killed-{}", ++runs_);
        std::vector<KillPoint> points{first_start()};
        bool alive = true;
        while (alive && kills_ < kills_wanted) {
            for (const KillPoint& point : points) {
                alive = alive && kills_ < kills_wanted && kill_at(point);
            }
            points = next_points();
        }
        const cli::Outcome last = start_again("");
        ASSERT_EQ(last.exit_code, 0) << last.log;
        expect_the_end_of_a_run_never_stopped();
        stdfs::remove_all(run_directory(name_));
    }

    void expect_the_end_of_a_run_never_stopped() {
        EXPECT_EQ(exact_lines(name_), straight_lines_);
        EXPECT_EQ(hash_of(name_), straight_hash_);
        const std::string run = run_directory(name_);
        const cli::Outcome verified = cli::run_program({"checkpoints", "verify", run});
        EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.log;
        EXPECT_LE(names_in(run + "/rolling").size(), kKept);
        EXPECT_LE(names_in(run + "/best").size(), 2U);
        const std::string straight = run_directory("straight");
        EXPECT_EQ(names_in(run + "/epoch"), names_in(straight + "/epoch"));
        EXPECT_EQ(names_in(run + "/best").back(), names_in(straight + "/best").back());
        // On a slow disk one may be of a later step, but each multiple has its own.
        EXPECT_EQ(names_in(run + "/keep").size(), names_in(straight + "/keep").size());
        EXPECT_TRUE(names_in(run + "/quarantine").empty());
        EXPECT_TRUE(names_in(run + "/.trash").empty());
        for (const std::string& name : names_in(run)) {
            EXPECT_FALSE(name.starts_with(".pending-")) << name;
        }
    }

    void print_table() const {
        fmt::print("{:<36} {:>6} {:>13} {:>10}\n", "point", "tried", "killed there", "elsewhere");
        for (const auto& [name, tally] : tallies_) {
            fmt::print("{:<36} {:>6} {:>13} {:>10}\n",
                       name,
                       tally.tried,
                       tally.killed_there,
                       tally.killed_elsewhere);
        }
        fmt::print("{} kills in {} runs of {} steps\n", kills_, runs_, kSteps);
    }

    std::mt19937_64 random_{
        static_cast<std::uint64_t>(number_in_environment("HOLDFAST_SOAK_SEED", 1))};
    std::vector<std::string> straight_lines_;
    std::string straight_hash_;
    std::string name_;
    std::int64_t runs_ = 0;
    std::int64_t kills_ = 0;
    std::vector<KillPoint> queue_;
    std::map<std::string, Tally> tallies_;
};

TEST_F(SoakKill, P2_EndsWithTheBitsOfARunNeverStopped) {
    const std::int64_t kills_wanted = number_in_environment("HOLDFAST_SOAK_KILLS", 25);
    while (kills_ < kills_wanted && !HasFailure()) {
        live_one_run(kills_wanted);
    }
    print_table();
    EXPECT_GE(kills_, kills_wanted);
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
