// One option: what it is called, what it may hold, where it lives in Settings, and how its values
// are read from text or JSON and written back. Immutable once declared; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "config/settings.h"

namespace holdfast::config {

enum class OptionType {
    kBool,
    kInteger,   // 64 bits; text takes `_` and K, M, B
    kReal,      // finite
    kDuration,  // seconds; text also takes 90s, 30m, 8h, 2d
    kInterval,  // text as checkpoint/save_interval.h prints it: steps, or a time with its unit
    kText,
    kChoice,    // one word of `choices`
    kTextList,  // text: one element, or a JSON array of strings
};

// What a change on resume does (docs/resume.md).
enum class ChangeRule {
    kFree,         // when to stop, what to keep, what to tell: the bits of the run stay
    kMathematics,  // changes the numbers: needs --allow-change KEY, and is recorded
    kFixed,        // the run would be another one: start a new run
};

using OptionValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

struct Option {
    std::string key;  // dotted: "model.n_layer"
    OptionType type = OptionType::kText;
    std::string unit;  // "steps", "tokens"; empty when there is none
    ChangeRule change = ChangeRule::kFree;
    std::string help;  // for someone who has not trained a GPT before

    std::optional<double> minimum;  // of numbers, inclusive
    std::optional<double> maximum;
    bool maximum_excluded = false;
    std::vector<std::string> choices;
    // The word that reads and prints as 0 ("auto", "off", "none"); empty: 0 is 0.
    std::string zero_word;
    // The value 0, or an empty text or list, leaves the choice to the program, which stores what it
    // chose: a resumed run keeps the stored one.
    bool automatic = false;
    std::vector<std::string> aliases;  // further names on the command line: "checkpoint-freq"

    std::function<OptionValue(const Settings&)> get;
    std::function<void(Settings&, const OptionValue&)> set;  // the value must be of `type`

    // "model" of "model.n_layer", "run" of "name"; and the part after the last dot.
    [[nodiscard]] std::string group() const;
    [[nodiscard]] std::string last_part() const;
    // "a whole number of steps, at least 2": what an error says was expected.
    [[nodiscard]] std::string expectation() const;
    // Whether the value is left to the program (`automatic` and 0 or empty).
    [[nodiscard]] bool is_automatic(const OptionValue& value) const;
};

// Whether a value of the option's type is one it may hold.
bool is_in_range(const Option& option, const OptionValue& value);

// Reads a value as people write it. kInvalid: "expected <expectation>, found '<text>'", without the
// key and the place, which the caller knows.
base::Result<OptionValue> parse_option_text(const Option& option, std::string_view text);

// The same from a value of a JSON file: numbers for numbers, no text in their place but zero_word
// and durations.
base::Result<OptionValue> parse_option_json(const Option& option, const nlohmann::json& value);

// As people read it: "524288", "auto", "6e-04" as 0.0006, lists in brackets. parse_option_text()
// reads it back to the same value.
std::string option_text(const Option& option, const OptionValue& value);

// As canonical JSON: the fewest digits that read back to the same bits, UTF-8, no spaces.
std::string option_json(const Option& option, const OptionValue& value);

}  // namespace holdfast::config
