// How often a run saves: every so many steps, or every so many seconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::checkpoint {

// At most one of the two is not 0; both 0: only step 0, stops and the last step are saved.
struct SaveInterval {
    std::int64_t steps = 250;
    double seconds = 0;

    static SaveInterval of_steps(std::int64_t steps) { return {steps, 0}; }
    static SaveInterval of_seconds(double seconds) { return {0, seconds}; }
    bool operator==(const SaveInterval&) const = default;
};

// "250", "5m", "90s", "0"; parse_save_interval() reads it back to the same value.
std::string to_string(const SaveInterval& interval);
// A whole number of steps ("250", "1K"), or a time with its unit ("5m", "90s", "1h30m"; longer than
// 0). Nothing for anything else.
std::optional<SaveInterval> parse_save_interval(std::string_view text);

}  // namespace holdfast::checkpoint
