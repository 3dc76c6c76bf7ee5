// Numbers and texts of an environment, read with the first thing that is wrong kept as an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "dist/launch_environment.h"

namespace holdfast::dist {

// Reads the variables of one launcher. After the first error every call returns its fallback, so a
// whole set can be read before error() is asked.
class VariableReader {
public:
    // `advice` ends each message: what to do about it. `lookup` must outlive this object.
    VariableReader(const EnvironmentLookup& lookup, std::string launcher_name, std::string advice);

    // The value, nothing when it is not set or is empty.
    [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const { return find(name).has_value(); }

    // A variable that must be there; empty after an error.
    std::string text(std::string_view name);
    // A whole decimal number from `min` to `max` that must be there; `min` after an error.
    int number(std::string_view name, int min, int max);
    // The same, `fallback` when it is not set.
    int number_or(std::string_view name, int min, int max, int fallback);
    // The number of a job or a step, which may be larger than an int; 0 after an error.
    std::uint64_t identifier(std::string_view name);
    // The number of whichever is set first of two variables that mean the same.
    int number_of_either(std::string_view name, std::string_view other, int min, int max);

    // Keeps an error of kind kInvalid, "<what>; <advice>", unless there is one.
    void fail(const std::string& what);
    [[nodiscard]] const std::optional<base::Error>& error() const { return error_; }

private:
    const EnvironmentLookup& lookup_;
    std::string launcher_name_;
    std::string advice_;
    std::optional<base::Error> error_;
};

// The whole decimal number that `text` is, if it is one and fits.
std::optional<int> parse_whole_number(std::string_view text);
std::optional<std::uint64_t> parse_identifier(std::string_view text);

}  // namespace holdfast::dist
