#include "train/straggler_watch.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace holdfast::train {

std::optional<std::string> StragglerWatch::note(const std::vector<double>& compute_seconds,
                                                double now_seconds) {
    if (compute_seconds.size() < 2) {
        return std::nullopt;
    }
    sums_.resize(compute_seconds.size());
    for (std::size_t rank = 0; rank < sums_.size(); ++rank) {
        sums_.at(rank) += compute_seconds.at(rank);
    }
    if (++steps_ < kSteps) {
        return std::nullopt;
    }
    const std::vector<double> sums = std::exchange(sums_, {});
    const auto steps = static_cast<double>(std::exchange(steps_, 0));
    std::vector<double> sorted = sums;
    // The lower one of two, so that of two ranks the slower can be named.
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    const auto slowest = std::max_element(sums.begin(), sums.end());
    const std::int64_t rank = slowest - sums.begin();
    const bool was_named = rank == named_rank_ && now_seconds - named_seconds_ < kQuietSeconds;
    if (*slowest < kSlowRatio * *middle || was_named) {
        return std::nullopt;
    }
    named_rank_ = rank;
    named_seconds_ = now_seconds;
    return fmt::format(
        "rank {} is slow: it computed {:.1f} ms a step over the last {} steps, the others {:.1f}; "
        "all wait for it",
        rank,
        *slowest / steps * 1e3,
        kSteps,
        *middle / steps * 1e3);
}

}  // namespace holdfast::train
