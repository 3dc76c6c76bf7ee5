// P1, P2, P4: the real program with 1, 2 and 4 ranks, one of which is killed again and again, in
// each part of a save that it has a hand in, ends with the bits of a run of one process never
// stopped. HOLDFAST_SOAK_KILLS (default 2 for each rank) and HOLDFAST_SOAK_SEED make it the soak of
// tools/soak-kill.
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "faults/killed_run.h"

namespace holdfast::faults {
namespace {

struct Victim {
    int ranks = 1;
    int rank = 0;
};

void PrintTo(const Victim& victim, std::ostream* out) {
    *out << "rank " << victim.rank << " of " << victim.ranks;
}

const std::vector<std::string_view> kAround{"kill-before", "kill-after"};
const std::vector<std::string_view> kThrough{"kill-before", "kill-half", "kill-after"};

// What a rank other than 0 does of a save and of a start.
const std::vector<KillPoint>& part_points() {
    static const std::vector<KillPoint> points{
        {"part: capture", {{"memcpy", "memory/*", 40, kThrough}}, ""},
        {"part: write of the weights", {{"pwrite", "*/.pending-*/model.*", 6, kThrough}}, ""},
        {"part: write of the moments",
         {{"pwrite", "*/.pending-*/optimizer-*", 3, kThrough},
          {"fallocate", "*/.pending-*/optimizer-*", 3, kAround}},
         ""},
        {"part: sync", {{"fsync", "*/.pending-*/*", 6, kAround}}, ""},
        {"part: reading back", {{"pread", "*/.pending-*/*.safetensors", 9, kAround}}, ""},
        {"part: loading", {{"pread", "*/step_*/*.safetensors", 2, kAround}}, ""},
    };
    return points;
}

const KillPoint& first_part() {
    static const KillPoint point{"part: first save",
                                 {{"open", "*/.pending-*/*", 2, kAround},
                                  {"pwrite", "*/.pending-*/*", 3, kThrough},
                                  {"fsync", "*/.pending-*/*", 2, kAround}},
                                 ""};
    return point;
}

class SoakKillRanks : public KilledRun, public testing::WithParamInterface<Victim> {
protected:
    [[nodiscard]] std::vector<std::string> straight_options() const override {
        std::vector<std::string> all = KilledRun::options();
        all.insert(all.end(), {"--threads", "1", "--lanes", "4", "--micro-batch", "3"});
        return all;
    }
    [[nodiscard]] std::vector<std::string> options() const override {
        std::vector<std::string> all = straight_options();
        all.insert(all.end(), {"--nproc-per-node", std::to_string(GetParam().ranks)});
        return all;
    }
    [[nodiscard]] bool is_rank_0() const { return GetParam().rank == 0; }
    [[nodiscard]] bool is_alone() const { return GetParam().ranks == 1; }

    [[nodiscard]] const std::vector<KillPoint>& points() const override {
        return is_rank_0() ? kill_points() : part_points();
    }
    [[nodiscard]] std::vector<std::string_view> placed_points() const override {
        return {kRandomTime};
    }
    [[nodiscard]] const KillPoint& first_point() const override {
        return is_rank_0() ? first_start() : first_part();
    }
    [[nodiscard]] std::string rule_of_last_resort() const override {
        // Rank 0 alone writes the log.
        return is_rank_0() ? KilledRun::rule_of_last_resort()
                           : "fsync */.pending-*/optimizer-* 8 kill-after";
    }
    // The supervisor's, whose rank ended by a signal.
    [[nodiscard]] int exit_code_of_a_kill() const override {
        return is_alone() ? KilledRun::exit_code_of_a_kill() : 1;
    }
    [[nodiscard]] bool is_of_the_kill(const std::string& line) const override {
        const std::string victim = "rank " + std::to_string(GetParam().rank);
        return !is_alone() && (line.find(victim) != std::string::npos ||
                               line.find("a rank is lost") != std::string::npos);
    }
    [[nodiscard]] std::vector<std::string> fault_environment() const override {
        return is_alone() ? std::vector<std::string>{}
                          : std::vector<std::string>{"HOLDFAST_CALL_FAULT_RANK=" +
                                                     std::to_string(GetParam().rank)};
    }
};

TEST_P(SoakKillRanks, P4_EndsWithTheBitsOfOneProcessNeverStopped) {
    kill_runs(kills_wanted(2));
}

INSTANTIATE_TEST_SUITE_P(Ranks,
                         SoakKillRanks,
                         testing::Values(Victim{1, 0},
                                         Victim{2, 0},
                                         Victim{2, 1},
                                         Victim{4, 0},
                                         Victim{4, 1},
                                         Victim{4, 2},
                                         Victim{4, 3}),
                         [](const auto& victim) {
                             return "Rank" + std::to_string(victim.param.rank) + "Of" +
                                    std::to_string(victim.param.ranks);
                         });

}  // namespace
}  // namespace holdfast::faults
