#include "dist/variable_reader.h"

#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/words.h"

namespace holdfast::dist {

namespace {

template <typename Number>
std::optional<Number> parse_all(std::string_view text) {
    Number number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

}  // namespace

std::optional<int> parse_whole_number(std::string_view text) {
    return parse_all<int>(text);
}

std::optional<std::uint64_t> parse_identifier(std::string_view text) {
    return parse_all<std::uint64_t>(text);
}

VariableReader::VariableReader(const EnvironmentLookup& lookup,
                               std::string launcher_name,
                               std::string advice)
    : lookup_(lookup), launcher_name_(std::move(launcher_name)), advice_(std::move(advice)) {}

std::optional<std::string> VariableReader::find(std::string_view name) const {
    std::optional<std::string> value = lookup_(std::string(name));
    if (value && value->empty()) {
        return std::nullopt;
    }
    return value;
}

std::string VariableReader::text(std::string_view name) {
    std::optional<std::string> value = find(name);
    if (!value) {
        fail(fmt::format("{} is not set though other variables of {} are", name, launcher_name_));
        return "";
    }
    return *std::move(value);
}

int VariableReader::number(std::string_view name, int min, int max) {
    const std::string value = text(name);
    if (error_) {
        return min;
    }
    const std::optional<int> parsed = parse_whole_number(value);
    if (!parsed || *parsed < min || *parsed > max) {
        const std::string range = max == std::numeric_limits<int>::max()
                                      ? fmt::format("from {} on", min)
                                      : fmt::format("from {} to {}", min, max);
        fail(fmt::format("{}={} (of {}) must be a whole number {}",
                         name,
                         base::printable(value),
                         launcher_name_,
                         range));
        return min;
    }
    return *parsed;
}

int VariableReader::number_or(std::string_view name, int min, int max, int fallback) {
    return has(name) ? number(name, min, max) : fallback;
}

std::uint64_t VariableReader::identifier(std::string_view name) {
    const std::string value = text(name);
    if (error_) {
        return 0;
    }
    const std::optional<std::uint64_t> parsed = parse_identifier(value);
    if (!parsed) {
        fail(fmt::format(
            "{}={} (of {}) must be a whole number", name, base::printable(value), launcher_name_));
    }
    return parsed.value_or(0);
}

int VariableReader::number_of_either(std::string_view name,
                                     std::string_view other,
                                     int min,
                                     int max) {
    return number(has(name) || !has(other) ? name : other, min, max);
}

void VariableReader::fail(const std::string& what) {
    if (!error_) {
        error_ = base::Error{base::ErrorKind::kInvalid, fmt::format("{}; {}", what, advice_), 0};
    }
}

}  // namespace holdfast::dist
