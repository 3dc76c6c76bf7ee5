#include "telemetry/progress_meter.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/words.h"

namespace holdfast::telemetry {

namespace {

constexpr double kSilentSeconds = 2.0;
constexpr double kLiveSeconds = 0.1;
constexpr double kPlainSeconds = 5.0;

}  // namespace

ProgressMeter::ProgressMeter(Screen screen,
                             std::string label,
                             std::uint64_t total,
                             MeterUnit unit,
                             double now_seconds,
                             std::string item)
    : screen_(std::move(screen)),
      label_(std::move(label)),
      total_(total),
      unit_(unit),
      item_(std::move(item)),
      start_seconds_(now_seconds) {}

ProgressMeter::~ProgressMeter() {
    if (screen_.is_terminal && last_drawn_seconds_) {
        screen_.live("");
    }
}

std::string ProgressMeter::format(std::uint64_t done, double now_seconds) const {
    const auto words = [this](double amount) {
        return unit_ == MeterUnit::kBytes
                   ? base::bytes_in_words(static_cast<std::uint64_t>(std::max(amount, 0.0)))
                   : base::count_in_words(amount);
    };
    const auto amount = static_cast<double>(done);
    const auto total = static_cast<double>(total_);
    std::string line = fmt::format("{} {}", label_, words(amount));
    if (total_ > 0) {
        line += fmt::format(" of {}", words(total));
    }
    if (unit_ == MeterUnit::kItems && !item_.empty()) {
        line += ' ' + item_;
    }
    if (total_ > 0) {
        line += fmt::format(" {:.0f}%", 100.0 * std::min(1.0, amount / total));
    }
    const double elapsed_seconds = now_seconds - start_seconds_;
    if (done > 0 && elapsed_seconds > 0) {
        const double rate = amount / elapsed_seconds;
        line += fmt::format(" | {}/s", words(rate));
        if (total_ > 0) {
            line += " | eta " + base::duration_in_words(std::max(0.0, total - amount) / rate);
        }
    }
    return line;
}

void ProgressMeter::update(std::uint64_t done, double now_seconds) {
    if (now_seconds - start_seconds_ < kSilentSeconds) {
        return;
    }
    const double pause_seconds = screen_.is_terminal ? kLiveSeconds : kPlainSeconds;
    if (last_drawn_seconds_ && now_seconds - *last_drawn_seconds_ < pause_seconds) {
        return;
    }
    last_drawn_seconds_ = now_seconds;
    std::string line = format(done, now_seconds);
    if (!screen_.is_terminal) {
        screen_.plain(line);
        return;
    }
    line.resize(
        std::min(line.size(), static_cast<std::size_t>(std::max(1, screen_.columns() - 1))));
    screen_.live(line);
}

}  // namespace holdfast::telemetry
