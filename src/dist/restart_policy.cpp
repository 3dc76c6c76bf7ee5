#include "dist/restart_policy.h"

#include <algorithm>
#include <array>
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

bool is_final(const ChildEnd& end) {
    return !end.by_signal &&
           std::any_of(kFinalCodes.begin(), kFinalCodes.end(), [&](ExitCode code) {
               return end.number == static_cast<int>(code);
           });
}

RestartDecision no_restart(std::string reason) {
    return RestartDecision{std::nullopt, std::move(reason)};
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

RestartPolicy::RestartPolicy(const LaunchConfig& config, AvailableRanks available)
    : config_(config), available_(std::move(available)) {}

RestartDecision RestartPolicy::decide(const FailedAttempt& attempt, const StopRecord& stop) {
    const bool quick = attempt.failure.uptime_seconds <= config_.crash_loop_seconds;
    quick_failure_count_ = quick ? quick_failure_count_ + 1 : 0;
    if (config_.max_restarts == 0) {
        return no_restart("");
    }
    if (stop.asked()) {
        return no_restart(fmt::format("no restart after {}", signal_name(stop.signals.front())));
    }
    if (is_final(attempt.failure.end)) {
        return no_restart(fmt::format("no restart after exit code {}", attempt.failure.end.number));
    }
    if (attempt.restart_count >= config_.max_restarts) {
        return no_restart(
            fmt::format("no restart is left of --max-restarts {}", config_.max_restarts));
    }
    if (quick_failure_count_ >= config_.crash_loop_count) {
        return no_restart(
            fmt::format("no restart: the last {} starts failed within {}; what failed them must be "
                        "mended first",
                        quick_failure_count_,
                        base::duration_in_words(config_.crash_loop_seconds)));
    }
    const int available_count = available_ ? available_(attempt) : attempt.rank_count;
    if (config_.nnodes > 1) {
        // The other nodes start as many as before.
        return available_count >= attempt.rank_count
                   ? RestartDecision{attempt.rank_count, ""}
                   : no_restart(fmt::format("no restart: {} ranks could run here, and the other "
                                            "nodes expect {}",
                                            available_count,
                                            attempt.rank_count));
    }
    const std::optional<int> rank_count =
        choose_rank_count(std::min(available_count, config_.world_size()),
                          config_.valid_rank_counts,
                          config_.min_ranks);
    if (!rank_count) {
        return no_restart(
            fmt::format("no restart: {} ranks could run, and no valid count{} is between "
                        "--min-ranks {} and that",
                        available_count,
                        config_.valid_rank_counts.empty()
                            ? ""
                            : fmt::format(" ({})", fmt::join(config_.valid_rank_counts, ", ")),
                        config_.min_ranks));
    }
    return RestartDecision{rank_count, ""};
}

}  // namespace holdfast::dist
