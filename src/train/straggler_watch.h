// Notices a rank that is slower than the others: all of them wait for it in every step.
//
// A value; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::train {

class StragglerWatch {
public:
    static constexpr std::int64_t kSteps = 20;        // looked at together
    static constexpr double kSlowRatio = 1.25;        // of the median, from which a rank is slow
    static constexpr double kQuietSeconds = 10 * 60;  // between two lines about the same rank

    // Of one step, in the order of ranks. A line for the log when a rank was slow over the last
    // kSteps steps and was not named lately.
    std::optional<std::string> note(const std::vector<double>& compute_seconds, double now_seconds);

private:
    std::vector<double> sums_;
    std::int64_t steps_ = 0;
    std::int64_t named_rank_ = -1;
    double named_seconds_ = 0;
};

}  // namespace holdfast::train
