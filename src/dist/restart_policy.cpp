#include "dist/restart_policy.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/words.h"

namespace holdfast::dist {

using base::ExitCode;

namespace {

constexpr std::array kFinalCodes = {ExitCode::kDone,
                                    ExitCode::kUsage,
                                    ExitCode::kNothingToResume,
                                    ExitCode::kInterrupted,
                                    ExitCode::kTerminated};

bool ended_with(const ChildEnd& end, ExitCode code) {
    return !end.by_signal && end.number == static_cast<int>(code);
}

bool is_final(const ChildEnd& end) {
    return std::any_of(kFinalCodes.begin(), kFinalCodes.end(), [&](ExitCode code) {
        return ended_with(end, code);
    });
}

std::vector<int> ranks_that_caused(const FailedAttempt& attempt) {
    if (waited_in_vain(attempt.failure.end)) {
        return attempt.killed_ranks;
    }
    return ended_with(attempt.failure.end, ExitCode::kNotDurable)
               ? std::vector<int>()
               : std::vector<int>{attempt.failure.rank};
}

bool contains(const std::vector<int>& numbers, int number) {
    return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

}  // namespace

std::optional<int> choose_rank_count(int available_count,
                                     const std::vector<int>& valid_counts,
                                     int min_ranks) {
    int best = valid_counts.empty() ? available_count : 0;
    for (const int count : valid_counts) {
        if (count <= available_count) {
            best = std::max(best, count);
        }
    }
    return best >= std::max(min_ranks, 1) ? std::optional(best) : std::nullopt;
}

std::vector<int> first_slots(int count) {
    std::vector<int> slots(static_cast<std::size_t>(count));
    std::iota(slots.begin(), slots.end(), 0);
    return slots;
}

RestartPolicy::RestartPolicy(const LaunchConfig& config) : config_(config) {}

RestartDecision RestartPolicy::decide(const FailedAttempt& attempt, const StopRecord& stop) {
    const bool quick = attempt.failure.uptime_seconds <= config_.crash_loop_seconds;
    quick_failure_count_ = quick ? quick_failure_count_ + 1 : 0;
    if (config_.max_restarts == 0) {
        return {};
    }
    if (std::string reason = reason_against_restart(attempt, stop); !reason.empty()) {
        return {{}, std::move(reason)};
    }
    // The other nodes start as many as before.
    return config_.nnodes > 1 ? RestartDecision{attempt.slots, ""} : choose_slots(attempt);
}

std::string RestartPolicy::reason_against_restart(const FailedAttempt& attempt,
                                                  const StopRecord& stop) const {
    const RankEnd& failure = attempt.failure;
    if (stop.asked()) {
        return fmt::format("no restart after {}", signal_name(stop.signals.front()));
    }
    if (is_final(failure.end)) {
        return fmt::format("no restart after exit code {}", failure.end.number);
    }
    if (config_.time_limit_seconds > 0 && failure.uptime_seconds >= config_.time_limit_seconds) {
        return fmt::format("no restart: the time limit of {} is over",
                           base::duration_in_words(config_.time_limit_seconds));
    }
    if (attempt.restart_count >= config_.max_restarts) {
        return fmt::format("no restart is left of --max-restarts {}", config_.max_restarts);
    }
    if (quick_failure_count_ >= config_.crash_loop_count) {
        return fmt::format(
            "no restart: the last {} starts failed within {}; what failed them must be "
            "mended first",
            quick_failure_count_,
            base::duration_in_words(config_.crash_loop_seconds));
    }
    return "";
}

RestartDecision RestartPolicy::choose_slots(const FailedAttempt& attempt) {
    std::vector<int> suspected;
    for (const int rank : ranks_that_caused(attempt)) {
        suspected.push_back(attempt.slots.at(static_cast<std::size_t>(rank)));
    }
    const std::vector<int> before = std::exchange(suspected_slots_, suspected);
    std::vector<int> failed_twice;
    std::copy_if(
        suspected.begin(), suspected.end(), std::back_inserter(failed_twice), [&](int slot) {
            return contains(before, slot);
        });
    if (failed_twice.empty()) {
        return {attempt.slots, ""};
    }
    std::vector<int> remaining;
    for (const int slot : first_slots(config_.nproc_per_node)) {
        if (!contains(left_out_slots_, slot) && !contains(failed_twice, slot)) {
            remaining.push_back(slot);
        }
    }
    const std::optional<int> rank_count = choose_rank_count(
        static_cast<int>(remaining.size()), config_.valid_rank_counts, config_.min_ranks);
    if (!rank_count) {
        return {attempt.slots, ""};
    }
    left_out_slots_.insert(left_out_slots_.end(), failed_twice.begin(), failed_twice.end());
    remaining.resize(static_cast<std::size_t>(*rank_count));
    return {std::move(remaining),
            fmt::format("what failed the last two starts, slot {}, is left out",
                        fmt::join(failed_twice, " and slot "))};
}

}  // namespace holdfast::dist
