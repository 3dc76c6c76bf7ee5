// The line a person watches while a run goes:
//
//   step 1234/18865 6.5% | loss 3.912 | val 3.98 | norm 0.41 | lr 5.8e-04 | 512 ms | 18.9k tok/s |
//   eta 5h03m
//
// One live line at the bottom of a terminal, drawn at most ten times a second; elsewhere (a file, a
// pipe, a scheduler's log) a plain line at most every five seconds, and one at each evaluation.
// Never wider than the screen: the less important parts go first.
//
// One thread. Time comes in as an argument (base::monotonic_seconds), never from a clock of its
// own.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "telemetry/step_metrics.h"
#include "telemetry/terminal.h"

namespace holdfast::telemetry {

// How long steps take, evaluations and saves between them included. Few samples: their median (the
// first steps warm up and say little). Many: the mean of the last 512.
class StepPace {
public:
    // Seconds between the ends of two neighbouring steps.
    void add(double seconds);
    // Nothing before the first sample.
    [[nodiscard]] std::optional<double> seconds_per_step() const;

private:
    std::deque<double> seconds_;
};

// What one drawing shows. `steps_total` 0: no end is known, and neither percent nor eta is shown.
struct ProgressView {
    const StepMetrics* metrics = nullptr;
    std::int64_t steps_total = 0;
    std::optional<double> val_loss;  // the latest known, of this or an earlier step
    std::optional<double> eta_seconds;
};

// The line, at most `columns` wide (at least "step N" is kept, cut if it must).
std::string format_progress(const ProgressView& view, int columns);

class ProgressLine {
public:
    // `steps_total` is where the run will stop, 0 when no step says so.
    ProgressLine(Screen screen, std::int64_t steps_total);

    // The step is done. Draws if it is time to.
    void update(const StepMetrics& metrics, double now_seconds);
    // The place in something long inside a step (an evaluation), shown after the last line:
    // "... | evaluating 12/40". An empty text removes it. Only on a terminal.
    void set_activity(std::string activity, double now_seconds);
    // Leaves the last state as a plain line and gives the live line back.
    void finish();

    // Seconds to the end of the run, when the pace and the end are known.
    [[nodiscard]] std::optional<double> eta_seconds() const;

private:
    void draw(double now_seconds, bool must_stay);

    Screen screen_;
    std::int64_t steps_total_;
    StepPace pace_;
    std::optional<StepMetrics> last_;
    std::optional<double> val_loss_;
    std::optional<double> last_step_seconds_;
    std::optional<double> last_drawn_seconds_;
    std::optional<std::int64_t> stayed_step_;  // the newest that stands on a line of its own
    std::string activity_;
};

}  // namespace holdfast::telemetry
