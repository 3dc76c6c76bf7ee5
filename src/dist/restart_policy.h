// Whether the ranks are started again after a failure, and how many of them. Pure decisions.
//
// Not started again: after a stop signal that was passed on; after an exit code that a repetition
// would give again or that was asked for (0, 2 wrong request, 3 nothing to resume, 130, 143); when
// max_restarts are used up; and in a crash loop, which is crash_loop_count failures in a row within
// crash_loop_seconds of their start.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dist/launch_config.h"
#include "dist/rank_end.h"

namespace holdfast::dist {

// An attempt that failed.
struct FailedAttempt {
    RankEnd failure;
    int rank_count = 0;
    int restart_count = 0;  // 0 for the first attempt
};

// On several nodes each supervisor decides for its own node: a rank that is lost ends the ranks of
// all nodes, and all start as many as before again.

// How many ranks could run now, for example one a device that still answers. Asked only when a
// restart is otherwise due; without it the number stays.
using AvailableRanks = std::function<int(const FailedAttempt& attempt)>;

struct RestartDecision {
    std::optional<int> rank_count;  // nothing: no restart
    std::string reason;             // why not; empty when restarts were never asked for
};

// The largest valid count that is available and not below `min_ranks`. Empty `valid_counts`: every
// number is valid.
std::optional<int> choose_rank_count(int available_count,
                                     const std::vector<int>& valid_counts,
                                     int min_ranks);

class RestartPolicy {
public:
    // `config` must outlive this object.
    RestartPolicy(const LaunchConfig& config, AvailableRanks available);

    // To be asked once for each attempt that failed, in order.
    RestartDecision decide(const FailedAttempt& attempt, const StopRecord& stop);

private:
    const LaunchConfig& config_;
    AvailableRanks available_;
    int quick_failure_count_ = 0;  // in a row
};

}  // namespace holdfast::dist
