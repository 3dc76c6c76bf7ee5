#include "checkpoint/save_interval.h"

#include <cmath>

#include <fmt/format.h>

#include "base/words.h"

namespace holdfast::checkpoint {

namespace {

constexpr double kMinuteSeconds = 60;

}  // namespace

std::string to_string(const SaveInterval& interval) {
    if (interval.seconds <= 0) {
        return fmt::format("{}", interval.steps);
    }
    const double minutes = interval.seconds / kMinuteSeconds;
    return minutes == std::floor(minutes) ? fmt::format("{}m", minutes)
                                          : fmt::format("{}s", interval.seconds);
}

std::optional<SaveInterval> parse_save_interval(std::string_view text) {
    // A small m is minutes here, though counts elsewhere take it for a million.
    const bool is_time =
        !text.empty() && std::string_view("smhd").find(text.back()) != std::string_view::npos;
    if (!is_time) {
        const auto steps = base::parse_count(text);
        return steps && *steps >= 0 ? std::optional(SaveInterval::of_steps(*steps)) : std::nullopt;
    }
    const auto seconds = base::parse_duration(text);
    return seconds && *seconds > 0 ? std::optional(SaveInterval::of_seconds(*seconds))
                                   : std::nullopt;
}

}  // namespace holdfast::checkpoint
