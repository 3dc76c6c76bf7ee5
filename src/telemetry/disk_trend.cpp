#include "telemetry/disk_trend.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/words.h"

namespace holdfast::telemetry {

namespace {

constexpr double kHourSeconds = 3600;
constexpr double kHistorySeconds = 3 * kHourSeconds;
constexpr double kTrendSecondsMin = 600;
constexpr double kWorsePoints = 5;
// A forecast further away than this says nothing but that the disk hardly grows.
constexpr double kForecastHoursMax = 1000;

double percent_full(const fs::SpaceStatus& space) {
    if (space.total_bytes == 0) {
        return 0;
    }
    return 100.0 - 100.0 * static_cast<double>(space.available_bytes) /
                       static_cast<double>(space.total_bytes);
}

std::string about(double hours) {
    return hours < 1 ? fmt::format("{:.0f} minutes", std::ceil(hours * 60))
                     : fmt::format("{:.{}f} hours", hours, hours < 10 ? 1 : 0);
}

}  // namespace

DiskTrend::DiskTrend(std::string path, const DiskThresholds& thresholds)
    : path_(std::move(path)), thresholds_(thresholds) {}

std::optional<DiskMessage> DiskTrend::add(double now_seconds, const fs::SpaceStatus& space) {
    is_failing_ = false;
    samples_.push_back({now_seconds, space.available_bytes});
    while (now_seconds - samples_.front().seconds > kHistorySeconds) {
        samples_.pop_front();
    }
    const double percent = percent_full(space);
    const DiskLevel level = level_of(percent);
    if (level == DiskLevel::kFine) {
        return std::nullopt;
    }
    // What was told stands though the disk was better in between: each save and deletion may cross
    // a level both ways.
    const bool is_due = !told_ || level > told_->level ||
                        now_seconds - told_->seconds >= kHourSeconds ||
                        percent >= told_->percent + kWorsePoints;
    if (!is_due) {
        return std::nullopt;
    }
    told_ = Told{level, percent, now_seconds};
    return DiskMessage{level, in_words(percent, space)};
}

std::optional<DiskMessage> DiskTrend::fail(const base::Error& error) {
    if (std::exchange(is_failing_, true)) {
        return std::nullopt;
    }
    return DiskMessage{
        DiskLevel::kWarn,
        fmt::format(
            "cannot tell how full the disk of {} is: {}; tried again later", path_, error.what)};
}

std::optional<double> DiskTrend::growth_an_hour() const {
    if (samples_.empty() || samples_.back().seconds - samples_.front().seconds < kTrendSecondsMin) {
        return std::nullopt;
    }
    const Sample& first = samples_.front();
    const auto used_since_first = [&first](const Sample& sample) {
        return static_cast<double>(first.available_bytes) -
               static_cast<double>(sample.available_bytes);
    };
    double mean_seconds = 0;
    double mean_used = 0;
    for (const Sample& sample : samples_) {
        mean_seconds += sample.seconds - first.seconds;
        mean_used += used_since_first(sample);
    }
    mean_seconds /= static_cast<double>(samples_.size());
    mean_used /= static_cast<double>(samples_.size());
    double spread = 0;
    double along = 0;
    for (const Sample& sample : samples_) {
        const double seconds = sample.seconds - first.seconds - mean_seconds;
        spread += seconds * seconds;
        along += seconds * (used_since_first(sample) - mean_used);
    }
    return along / spread * kHourSeconds;
}

DiskLevel DiskTrend::level_of(double percent) const {
    const auto reaches = [percent](std::int64_t threshold) {
        return threshold > 0 && percent >= static_cast<double>(threshold);
    };
    if (reaches(thresholds_.alert_percent)) {
        return DiskLevel::kAlert;
    }
    return reaches(thresholds_.warn_percent) ? DiskLevel::kWarn : DiskLevel::kFine;
}

std::string DiskTrend::in_words(double percent, const fs::SpaceStatus& space) const {
    std::string text = fmt::format("the disk of {} is {:.0f} % full: {} of {} free",
                                   path_,
                                   std::floor(percent),
                                   base::bytes_in_words(space.available_bytes),
                                   base::bytes_in_words(space.total_bytes));
    const std::optional<double> growth = growth_an_hour();
    if (growth && *growth >= 1) {
        text += fmt::format(", filling by {} an hour",
                            base::bytes_in_words(static_cast<std::uint64_t>(*growth)));
        const double hours = static_cast<double>(space.available_bytes) / *growth;
        if (hours <= kForecastHoursMax) {
            text += fmt::format(", full in about {}", about(hours));
        }
    }
    return text + "; delete something or lower checkpoint.keep";
}

}  // namespace holdfast::telemetry
