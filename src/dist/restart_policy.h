// Whether the ranks are started again after a failure, and on which slots. Pure decisions.
//
// A slot is what one rank runs on: on a node with GPUs one of them, in the order in which they are
// visible; on a CPU a share of it. An attempt has one rank a slot, in ascending order.
//
// A slot is left out from then on when its rank was the cause of two failures in a row, and the
// others make up a valid count that is not below min_ranks: one failure may be chance, and a device
// that is lost fails its rank again at once. The cause is the rank that failed first, unless the
// disk failed it (exit code 4); where it ended because it waited for another in vain (75), the
// ranks that had to be killed.
//
// Not started again: after a stop signal that was passed on; after an exit code that a repetition
// would give again or that was asked for (0, 2 wrong request, 3 nothing to resume, 130, 143); when
// the run's time is over, or max_restarts are used up; and in a crash loop, which is
// crash_loop_count failures in a row within crash_loop_seconds of their start.
//
// On several nodes each supervisor decides for its own node: a rank that is lost ends the ranks of
// all nodes, and all start as many as before again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dist/launch_config.h"
#include "dist/rank_end.h"

namespace holdfast::dist {

// An attempt that failed.
struct FailedAttempt {
    RankEnd failure;
    std::vector<int> killed_ranks;  // which did not end after it
    std::vector<int> slots;         // of the ranks of this node, ascending
    int restart_count = 0;          // 0 for the first attempt
};

struct RestartDecision {
    std::vector<int> slots;  // of the ranks to come, ascending; empty: no restart
    std::string reason;      // why none, or why not the slots of before; may be empty
};

// The largest valid count that is available and not below `min_ranks`. Empty `valid_counts`: every
// number is valid.
std::optional<int> choose_rank_count(int available_count,
                                     const std::vector<int>& valid_counts,
                                     int min_ranks);

// 0, 1, ... count - 1.
std::vector<int> first_slots(int count);

class RestartPolicy {
public:
    // `config` must outlive this object.
    explicit RestartPolicy(const LaunchConfig& config);

    // To be asked once for each attempt that failed, in order.
    RestartDecision decide(const FailedAttempt& attempt, const StopRecord& stop);

private:
    [[nodiscard]] std::string reason_against_restart(const FailedAttempt& attempt,
                                                     const StopRecord& stop) const;
    RestartDecision choose_slots(const FailedAttempt& attempt);

    const LaunchConfig& config_;
    int quick_failure_count_ = 0;       // in a row
    std::vector<int> suspected_slots_;  // the cause of the last failure
    std::vector<int> left_out_slots_;
};

}  // namespace holdfast::dist
