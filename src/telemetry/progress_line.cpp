#include "telemetry/progress_line.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/words.h"

namespace holdfast::telemetry {

namespace {

constexpr double kLiveSeconds = 0.1;
constexpr double kPlainSeconds = 5.0;
// Where no terminal says how wide a line may be.
constexpr int kPlainColumns = 1000;
constexpr std::size_t kPaceSteps = 512;
constexpr std::size_t kFewSteps = 32;

struct Part {
    std::string text;
    int rank;  // the highest goes first when the screen is narrow
};

std::string milliseconds(double value) {
    if (value >= 99.95) {
        return fmt::format("{:.0f} ms", value);
    }
    return value >= 9.995 ? fmt::format("{:.1f} ms", value) : fmt::format("{:.2f} ms", value);
}

std::string head(const StepMetrics& metrics, std::int64_t steps_total) {
    if (steps_total <= 0) {
        return fmt::format("step {}", metrics.step);
    }
    const double percent =
        100.0 * static_cast<double>(metrics.step) / static_cast<double>(steps_total);
    return fmt::format("step {}/{} {:.1f}%", metrics.step, steps_total, percent);
}

std::vector<Part> parts_of(const ProgressView& view) {
    const StepMetrics& metrics = *view.metrics;
    std::vector<Part> parts;
    parts.push_back({head(metrics, view.steps_total), 0});
    parts.push_back({fmt::format("loss {:.3f}", metrics.loss), 1});
    if (view.val_loss) {
        parts.push_back({fmt::format("val {:.2f}", *view.val_loss), 3});
    }
    parts.push_back({fmt::format("norm {:.2f}", metrics.grad_norm), 6});
    parts.push_back({fmt::format("lr {:.1e}", metrics.learning_rate), 7});
    if (metrics.step_ms) {
        parts.push_back({milliseconds(*metrics.step_ms), 5});
    }
    if (metrics.tokens_per_second) {
        parts.push_back(
            {fmt::format("{} tok/s", base::count_in_words(*metrics.tokens_per_second)), 4});
    }
    if (metrics.mfu) {
        parts.push_back({fmt::format("mfu {:.1f}%", 100.0 * *metrics.mfu), 8});
    }
    if (view.eta_seconds) {
        parts.push_back({"eta " + base::duration_in_words(*view.eta_seconds), 2});
    }
    return parts;
}

std::string joined(const std::vector<Part>& parts) {
    std::string line;
    for (const Part& part : parts) {
        line += line.empty() ? "" : " | ";
        line += part.text;
    }
    return line;
}

}  // namespace

void StepPace::add(double seconds) {
    seconds_.push_back(seconds);
    if (seconds_.size() > kPaceSteps) {
        seconds_.pop_front();
    }
}

std::optional<double> StepPace::seconds_per_step() const {
    if (seconds_.empty()) {
        return std::nullopt;
    }
    if (seconds_.size() >= kFewSteps) {
        return std::accumulate(seconds_.begin(), seconds_.end(), 0.0) /
               static_cast<double>(seconds_.size());
    }
    std::vector<double> sorted(seconds_.begin(), seconds_.end());
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
}

std::string format_progress(const ProgressView& view, int columns) {
    std::vector<Part> parts = parts_of(view);
    const auto width = static_cast<std::size_t>(std::max(columns, 1));
    std::string line = joined(parts);
    while (line.size() > width && parts.size() > 1) {
        const auto least =
            std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
                return a.rank < b.rank;
            });
        parts.erase(least);
        line = joined(parts);
    }
    line.resize(std::min(line.size(), width));
    return line;
}

ProgressLine::ProgressLine(Screen screen, std::int64_t steps_total)
    : screen_(std::move(screen)), steps_total_(steps_total) {}

void ProgressLine::update(const StepMetrics& metrics, double now_seconds) {
    if (last_step_seconds_) {
        pace_.add(now_seconds - *last_step_seconds_);
    }
    last_step_seconds_ = now_seconds;
    last_ = metrics;
    const bool evaluated = metrics.val_loss().has_value();
    if (evaluated) {
        val_loss_ = metrics.val_loss();
    }
    draw(now_seconds, evaluated);
}

void ProgressLine::set_activity(std::string activity, double now_seconds) {
    activity_ = std::move(activity);
    if (screen_.is_terminal) {
        draw(now_seconds, false);
    }
}

std::optional<double> ProgressLine::eta_seconds() const {
    const auto pace = pace_.seconds_per_step();
    if (!pace || !last_ || last_->step >= steps_total_) {
        return std::nullopt;
    }
    return *pace * static_cast<double>(steps_total_ - last_->step);
}

void ProgressLine::draw(double now_seconds, bool must_stay) {
    const double pause_seconds = screen_.is_terminal ? kLiveSeconds : kPlainSeconds;
    const bool due = !last_drawn_seconds_ || now_seconds - *last_drawn_seconds_ >= pause_seconds;
    if (!due && !must_stay) {
        return;
    }
    last_drawn_seconds_ = now_seconds;
    const ProgressView view{.metrics = last_ ? &*last_ : nullptr,
                            .steps_total = steps_total_,
                            .val_loss = val_loss_,
                            .eta_seconds = eta_seconds()};
    const bool stays = view.metrics != nullptr && (must_stay || !screen_.is_terminal);
    if (stays) {
        stayed_step_ = last_->step;
    }
    if (!screen_.is_terminal) {
        if (stays) {
            screen_.plain(format_progress(view, kPlainColumns));
        }
        return;
    }
    // A line as wide as the terminal would already wrap on some.
    const int columns = std::max(1, screen_.columns() - 1);
    if (stays) {
        screen_.plain(format_progress(view, columns));
    }
    std::string tail = activity_;
    tail.resize(std::min(tail.size(), static_cast<std::size_t>(columns)));
    if (view.metrics == nullptr) {
        screen_.live(tail);
        return;
    }
    const int tail_columns = tail.empty() ? 0 : static_cast<int>(tail.size()) + 3;
    if (tail_columns >= columns) {
        screen_.live(tail);
        return;
    }
    const std::string line = format_progress(view, columns - tail_columns);
    screen_.live(tail.empty() ? line : line + " | " + tail);
}

void ProgressLine::finish() {
    if (screen_.is_terminal) {
        screen_.live("");
    }
    if (last_ && stayed_step_ != last_->step) {
        activity_.clear();
        screen_.plain(format_progress({.metrics = &*last_,
                                       .steps_total = steps_total_,
                                       .val_loss = val_loss_,
                                       .eta_seconds = std::nullopt},
                                      screen_.is_terminal ? screen_.columns() - 1 : kPlainColumns));
    }
    last_.reset();
}

}  // namespace holdfast::telemetry
