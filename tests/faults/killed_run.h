// A small run of the real program that is killed again and again: at named points, a random one of
// each round, until it comes to its end, which is held against that of a run never stopped.
//
// What is killed where, and what is looked at after a kill and at the end, a subclass may add to.
// HOLDFAST_SOAK_KILLS and HOLDFAST_SOAK_SEED (1) make a test the soak of tools/soak-kill.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <signal.h>

#include "cli/small_run.h"
#include "faults/kill_points.h"

namespace holdfast::faults {

class KilledRun : public cli::SmallRun {
protected:
    static constexpr std::size_t kKept = 2;  // rolling

    // Trains the run never stopped.
    void SetUp() override;

    // Of every start of the run; a later value of an option wins.
    [[nodiscard]] virtual std::vector<std::string> options() const;
    // Of the run never stopped; it may differ in what must not change the bits.
    [[nodiscard]] virtual std::vector<std::string> straight_options() const { return options(); }
    [[nodiscard]] virtual const std::vector<KillPoint>& points() const { return kill_points(); }
    // Points of kill_points.h that need to know where the run stands.
    [[nodiscard]] virtual std::vector<std::string_view> placed_points() const {
        return {kCapture, kEvaluation, kRandomTime, kRandomTime};
    }
    [[nodiscard]] virtual const KillPoint& first_point() const { return first_start(); }
    // Kills the run when the point is not reached.
    [[nodiscard]] virtual std::string rule_of_last_resort() const;
    [[nodiscard]] virtual int exit_code_of_a_kill() const { return 128 + SIGKILL; }
    // Whether a warning or alarm is what a kill may leave to be told.
    [[nodiscard]] virtual bool is_of_the_kill(const std::string& /*line*/) const { return false; }
    // Added to the environment of a run that is killed.
    [[nodiscard]] virtual std::vector<std::string> fault_environment() const { return {}; }
    virtual void expect_sound_after_a_kill(const cli::Outcome& /*killed*/) {}
    virtual void expect_the_end_of_a_run_never_stopped();

    // Kills runs until so many kills were made, and prints where.
    void kill_runs(std::int64_t wanted);
    // HOLDFAST_SOAK_KILLS, else `otherwise`.
    static std::int64_t kills_wanted(std::int64_t otherwise);

    cli::Outcome run_with_faults(const std::vector<std::string>& words,
                                 const std::string& rules) const;
    // Names in a folder, sorted; none where it is missing.
    static std::vector<std::string> names_in(const std::string& folder);

    std::string name_;  // of the run

private:
    struct Tally {
        std::int64_t tried = 0;
        std::int64_t killed_there = 0;
        std::int64_t killed_elsewhere = 0;
    };

    std::int64_t draw(std::int64_t most);
    [[nodiscard]] std::int64_t newest_published() const;
    std::string rule_of(const KillPoint& point);
    [[nodiscard]] bool stands_before_an_evaluated_line() const;
    cli::Outcome start_again(const std::string& rules);
    bool kill_at(const KillPoint& point);
    std::vector<KillPoint> next_points();
    void live_one_run(std::int64_t wanted);
    void print_table() const;

    std::mt19937_64 random_;
    std::vector<std::string> straight_lines_;
    std::string straight_hash_;
    std::int64_t runs_ = 0;
    std::int64_t kills_ = 0;
    std::vector<KillPoint> queue_;
    std::map<std::string, Tally> tallies_;
};

}  // namespace holdfast::faults
