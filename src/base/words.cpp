#include "base/words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>

#include <fmt/format.h>

namespace holdfast::base {

namespace {

std::string three_digits(double value) {
    if (value >= 99.95) {
        return fmt::format("{:.0f}", value);
    }
    if (value >= 9.995) {
        return fmt::format("{:.1f}", value);
    }
    return fmt::format("{:.2f}", value);
}

std::string without_underscores(std::string_view text) {
    std::string digits(text);
    std::erase(digits, '_');
    return digits;
}

}  // namespace

std::string bytes_in_words(std::uint64_t bytes) {
    static constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024) {
        return fmt::format("{} B", bytes);
    }
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // 999.5 and more would print four digits; the next unit is clearer.
    while (value >= 999.5 && unit + 1 < kUnits.size()) {
        value /= 1024.0;
        ++unit;
    }
    return fmt::format("{} {}", three_digits(value), kUnits.at(unit));
}

std::string count_in_words(double count) {
    static constexpr std::array kUnits = {"", "k", "M", "B", "T"};
    double value = count;
    std::size_t unit = 0;
    while (std::abs(value) >= 999.5 && unit + 1 < kUnits.size()) {
        value /= 1000.0;
        ++unit;
    }
    if (unit == 0) {
        return value == std::floor(value) ? fmt::format("{:.0f}", value) : three_digits(value);
    }
    return three_digits(value) + kUnits.at(unit);
}

std::string duration_in_words(double seconds) {
    if (!(seconds >= 0.0) || seconds > 1e12) {
        return "?";
    }
    if (seconds < 9.95) {
        return fmt::format("{:.1f}s", seconds);
    }
    const auto whole = static_cast<std::int64_t>(std::llround(seconds));
    if (whole < 60) {
        return fmt::format("{}s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    }
    if (whole < 86400) {
        return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
    }
    return fmt::format("{}d{:02}h", whole / 86400, whole % 86400 / 3600);
}

std::optional<double> parse_real(std::string_view text) {
    const std::string digits = without_underscores(text);
    double value = 0.0;
    const char* begin = digits.data();
    const char* end = begin + digits.size();
    if (digits.size() > 1 && *begin == '+') {
        ++begin;
    }
    const auto [parsed_to, status] = std::from_chars(begin, end, value);
    if (status != std::errc() || parsed_to != end || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

std::optional<std::int64_t> parse_count(std::string_view text) {
    if (text.empty()) {
        return std::nullopt;
    }
    double factor = 1.0;
    switch (text.back()) {
        case 'K':
        case 'k':
            factor = 1e3;
            break;
        case 'M':
        case 'm':
            factor = 1e6;
            break;
        case 'B':
        case 'b':
        case 'G':
            factor = 1e9;
            break;
        default:
            break;
    }
    if (factor == 1.0) {
        const std::string digits = without_underscores(text);
        std::int64_t value = 0;
        const char* end = digits.data() + digits.size();
        const auto [parsed_to, status] = std::from_chars(digits.data(), end, value);
        if (status == std::errc() && parsed_to == end) {
            return value;
        }
    } else {
        text.remove_suffix(1);
    }
    const std::optional<double> real = parse_real(text);
    if (!real) {
        return std::nullopt;
    }
    const double scaled = *real * factor;
    // 2^53: beyond it a double no longer holds every whole number.
    if (scaled != std::floor(scaled) || std::abs(scaled) > 9007199254740992.0) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(scaled);
}

std::string printable(std::string_view text, std::size_t bytes_max) {
    std::size_t shown = std::min(text.size(), bytes_max);
    // Not through the middle of a character of UTF-8.
    while (shown > 0 && shown < text.size() &&
           (static_cast<unsigned char>(text[shown]) & 0xC0U) == 0x80U) {
        --shown;
    }
    std::string line;
    for (const char character : text.substr(0, shown)) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte < 0x20 || byte == 0x7F) {
            line += fmt::format("\\x{:02X}", byte);
        } else {
            line += character;
        }
    }
    return shown < text.size() ? fmt::format("{}... ({} bytes)", line, text.size()) : line;
}

std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& candidates) {
    constexpr std::size_t kWordBytesMax = 64;
    if (word.size() > kWordBytesMax) {
        return std::nullopt;
    }
    std::size_t best_distance = std::numeric_limits<std::size_t>::max();
    const std::string* best = nullptr;
    for (const std::string& candidate : candidates) {
        // One row of the Levenshtein table at a time.
        std::vector<std::size_t> row(candidate.size() + 1);
        for (std::size_t j = 0; j < row.size(); ++j) {
            row[j] = j;
        }
        for (std::size_t i = 0; i < word.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i + 1;
            for (std::size_t j = 0; j < candidate.size(); ++j) {
                const std::size_t above = row[j + 1];
                const std::size_t replaced = diagonal + (word[i] == candidate[j] ? 0 : 1);
                row[j + 1] = std::min({above + 1, row[j] + 1, replaced});
                diagonal = above;
            }
        }
        if (row.back() < best_distance) {
            best_distance = row.back();
            best = &candidate;
        }
    }
    const std::size_t near_enough = std::max<std::size_t>(2, word.size() / 3);
    if (best == nullptr || best_distance > near_enough) {
        return std::nullopt;
    }
    return *best;
}

std::optional<double> parse_duration(std::string_view text) {
    if (const auto seconds = parse_real(text)) {
        return seconds;
    }
    double total_seconds = 0.0;
    while (!text.empty()) {
        const std::size_t unit = text.find_first_of("smhd");
        if (unit == std::string_view::npos) {
            return std::nullopt;
        }
        const auto amount = parse_real(text.substr(0, unit));
        if (!amount || *amount < 0) {
            return std::nullopt;
        }
        const char letter = text[unit];
        const double factor =
            letter == 's' ? 1.0 : (letter == 'm' ? 60.0 : (letter == 'h' ? 3600.0 : 86400.0));
        total_seconds += *amount * factor;
        text.remove_prefix(unit + 1);
    }
    return total_seconds;
}

}  // namespace holdfast::base
