#include "faults/killed_run.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include <signal.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::faults {

namespace {

namespace stdfs = std::filesystem;

constexpr std::int64_t kSteps = 60;
constexpr std::int64_t kSaveInterval = 2;
constexpr std::int64_t kEvalInterval = 4;
constexpr std::int64_t kEvaluationMicroseconds = 2000;
constexpr std::int64_t kRandomMicroseconds = 600'000;

std::int64_t number_in_environment(const char* name, std::int64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoll(text);
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

// Warnings and alarms that a busy machine is reason enough for: a save or a copy that was skipped,
// a source that rotation took before its copy began, a rank that had less of the processor.
bool is_of_a_busy_machine(const std::string& line) {
    const auto holds = [&](std::string_view part) { return line.find(part) != std::string::npos; };
    return holds(" is skipped: ") || holds(" is slow: ") || holds(", 0 tries failed, ") ||
           (holds("no second copy of ") && holds("No such file or directory"));
}

}  // namespace

void KilledRun::SetUp() {
    SmallRun::SetUp();
    random_.seed(static_cast<std::uint64_t>(number_in_environment("HOLDFAST_SOAK_SEED", 1)));
    name_ = "straight";
    const cli::Outcome straight = train(name_, straight_options());
    ASSERT_EQ(straight.exit_code, 0) << straight.log;
    straight_lines_ = exact_lines("straight");
    straight_hash_ = hash_of("straight");
    ASSERT_EQ(straight_lines_.size(), static_cast<std::size_t>(kSteps));
}

std::vector<std::string> KilledRun::options() const {
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

void KilledRun::kill_runs(std::int64_t wanted) {
    while (kills_ < wanted && !HasFailure()) {
        live_one_run(wanted);
    }
    print_table();
    EXPECT_GE(kills_, wanted);
}

std::int64_t KilledRun::kills_wanted(std::int64_t otherwise) {
    return number_in_environment("HOLDFAST_SOAK_KILLS", otherwise);
}

std::vector<std::string> KilledRun::names_in(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code missing;  // a run that was killed at its first start has no pools
    for (const auto& entry : stdfs::directory_iterator(folder, missing)) {
        names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
}

// From 1 to `most`.
std::int64_t KilledRun::draw(std::int64_t most) {
    return 1 + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most));
}

// The step of the newest checkpoint under its final name; -1 when there is none.
std::int64_t KilledRun::newest_published() const {
    std::int64_t newest = -1;
    for (const char* pool : {"/rolling", "/best", "/keep"}) {
        for (const std::string& name : names_in(run_directory(name_) + pool)) {
            newest = std::max(newest, number_after(name, "step_"));
        }
    }
    return newest;
}

std::string KilledRun::rule_of(const KillPoint& point) {
    if (point.name == kRandomTime) {
        return fmt::format("open */config.json 1 kill-within:{}", draw(kRandomMicroseconds));
    }
    const std::int64_t newest = newest_published();
    if (point.name == kCapture) {
        // Three arenas each time; nothing else of the program copies as much at once.
        static constexpr std::array kActions{"kill-before", "kill-half", "kill-after"};
        const auto action = static_cast<std::size_t>(draw(std::ssize(kActions)) - 1);
        return fmt::format("memcpy memory/[1-9]?????* {} {}", draw(9), kActions.at(action));
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
bool KilledRun::stands_before_an_evaluated_line() const {
    const auto lines = cli::lines_of(cli::read_text(metrics_path(name_)));
    return static_cast<std::int64_t>(lines.size() + 1) % kEvalInterval == 0;
}

cli::Outcome KilledRun::run_with_faults(const std::vector<std::string>& words,
                                        const std::string& rules) const {
    std::vector<std::string> environment = fault_environment();
    environment.insert(environment.end(),
                       {"LD_PRELOAD=" HOLDFAST_CALL_FAULT, "HOLDFAST_CALL_FAULTS=" + rules});
    return cli::run_program(words, environment);
}

// Starts the run once more with `rules`. What it tells before it dies must be that it goes on
// from the newest checkpoint, and nothing else.
cli::Outcome KilledRun::start_again(const std::string& rules) {
    const std::int64_t newest = newest_published();
    std::vector<std::string> words = options();
    words.insert(words.end(), {"--resume", newest >= 0 && draw(2) == 1 ? "latest" : "auto"});
    const cli::Outcome outcome = run_with_faults(train_words(name_, words), rules);
    const std::int64_t resumed_at = number_after(outcome.log, " at step ");
    if (outcome.log.find("resumed from ") != std::string::npos) {
        EXPECT_GE(resumed_at, newest) << rules << '\n' << outcome.log;
    }
    for (const std::string& line : cli::lines_of(outcome.log)) {
        const bool complaint = line.starts_with("warning: ") || line.starts_with("ALARM: ");
        EXPECT_TRUE(!complaint || is_of_a_busy_machine(line) || is_of_the_kill(line))
            << rules << '\n'
            << outcome.log;
    }
    return outcome;
}

std::string KilledRun::rule_of_last_resort() const {
    return "pwrite */metrics.jsonl 14 kill-after";
}

// False when the run came to its end instead.
bool KilledRun::kill_at(const KillPoint& point) {
    const std::string rule = rule_of(point);
    const cli::Outcome outcome = start_again(fmt::format("{};{}", rule, rule_of_last_resort()));
    Tally& tally = tallies_[std::string(point.name)];
    ++tally.tried;
    if (outcome.exit_code == 0) {
        return false;
    }
    EXPECT_EQ(outcome.exit_code, exit_code_of_a_kill()) << rule << '\n' << outcome.log;
    ++kills_;
    bool there = outcome.log.find("call-fault 0 ") != std::string::npos &&
                 outcome.log.find("call-fault 1 ") == std::string::npos;
    if (point.name == kEvaluation) {
        there = there && stands_before_an_evaluated_line();
    }
    ++(there ? tally.killed_there : tally.killed_elsewhere);
    expect_sound_after_a_kill(outcome);
    return true;
}

// The next points, each with the one before that it needs.
std::vector<KillPoint> KilledRun::next_points() {
    if (queue_.empty()) {
        queue_ = points();
        for (const std::string_view name : placed_points()) {
            queue_.push_back({name, {}, ""});
        }
        std::shuffle(queue_.begin(), queue_.end(), random_);
    }
    std::vector<KillPoint> next{queue_.back()};
    queue_.pop_back();
    for (const KillPoint& before : points()) {
        if (before.name == next.back().after) {
            next.insert(next.begin(), before);
        }
    }
    return next;
}

// One run, killed until it comes to its end or all kills are spent; then what it left is
// checked.
void KilledRun::live_one_run(std::int64_t wanted) {
    name_ = fmt::format("killed-{}", ++runs_);
    std::vector<KillPoint> next{first_point()};
    bool alive = true;
    while (alive && kills_ < wanted) {
        for (const KillPoint& point : next) {
            alive = alive && kills_ < wanted && kill_at(point);
        }
        next = next_points();
    }
    const cli::Outcome last = start_again("");
    ASSERT_EQ(last.exit_code, 0) << last.log;
    expect_the_end_of_a_run_never_stopped();
    stdfs::remove_all(run_directory(name_));
}

void KilledRun::expect_the_end_of_a_run_never_stopped() {
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

void KilledRun::print_table() const {
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

}  // namespace holdfast::faults
