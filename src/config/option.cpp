#include "config/option.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/words.h"
#include "checkpoint/save_interval.h"

namespace holdfast::config {

namespace {

using Json = nlohmann::json;

// Whole numbers up to here are exact in a double, in every JSON reader.
constexpr double kExactWholeMax = 9007199254740992.0;

std::string json_text(std::string_view text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Text that is not cannot be kept in a checkpoint as it is, and would be another one on resume.
bool is_utf8(std::string_view text) {
    return Json::parse(json_text(text)).get_ref<const std::string&>() == text;
}

std::string number_text(double value) {
    if (value == std::floor(value) && std::abs(value) < kExactWholeMax) {
        return fmt::format("{}", static_cast<std::int64_t>(value));
    }
    return fmt::format("{}", value);
}

std::string range_text(const Option& option) {
    std::string text;
    if (option.minimum) {
        text += ", at least " + number_text(*option.minimum);
    }
    if (option.maximum) {
        text += option.minimum ? " and " : ", ";
        text +=
            (option.maximum_excluded ? "less than " : "at most ") + number_text(*option.maximum);
    }
    return text;
}

base::Error unexpected(const Option& option, std::string_view found) {
    return {base::ErrorKind::kInvalid,
            fmt::format("expected {}, found {}", option.expectation(), found)};
}

std::optional<bool> parse_switch(std::string_view text) {
    static constexpr std::array<std::string_view, 4> kYes = {"true", "1", "yes", "on"};
    static constexpr std::array<std::string_view, 4> kNo = {"false", "0", "no", "off"};
    if (std::find(kYes.begin(), kYes.end(), text) != kYes.end()) {
        return true;
    }
    if (std::find(kNo.begin(), kNo.end(), text) != kNo.end()) {
        return false;
    }
    return std::nullopt;
}

std::optional<std::vector<std::string>> texts_of(const Json& array) {
    if (!array.is_array()) {
        return std::nullopt;
    }
    std::vector<std::string> texts;
    for (const Json& item : array) {
        if (!item.is_string()) {
            return std::nullopt;
        }
        texts.push_back(item.get<std::string>());
    }
    return texts;
}

std::optional<std::int64_t> whole_number(const Json& value) {
    if (value.is_number_unsigned()) {
        const auto number = value.get<std::uint64_t>();
        if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            return std::nullopt;
        }
        return static_cast<std::int64_t>(number);
    }
    if (value.is_number_integer()) {
        return value.get<std::int64_t>();
    }
    if (value.is_number_float()) {
        const auto number = value.get<double>();
        if (number == std::floor(number) && std::abs(number) <= kExactWholeMax) {
            return static_cast<std::int64_t>(number);
        }
    }
    return std::nullopt;
}

// The value if it lies in the option's range, else the error with `found` as it was written.
base::Result<OptionValue> in_range(const Option& option,
                                   OptionValue value,
                                   std::string_view found) {
    if (!is_in_range(option, value)) {
        return unexpected(option, found);
    }
    return value;
}

std::string type_text(const Option& option) {
    const std::string of_unit = option.unit.empty() ? "" : " of " + option.unit;
    switch (option.type) {
        case OptionType::kBool:
            return "true or false";
        case OptionType::kInteger:
            return "a whole number" + of_unit + range_text(option);
        case OptionType::kReal:
            return "a number" + of_unit + range_text(option);
        case OptionType::kDuration:
            return "a time such as 90s, 30m, 8h or a number of seconds";
        case OptionType::kInterval:
            return "a whole number of steps, or a time with its unit such as 5m or 90s";
        case OptionType::kText:
            return option.unit == "path" ? "a path" : "a text";
        case OptionType::kChoice:
            return fmt::format("{}", fmt::join(option.choices, ", "));
        case OptionType::kTextList:
            return option.unit == "path" ? "a path or a list of paths"
                                         : "a text or a list of texts";
    }
    return "";
}

}  // namespace

std::string Option::group() const {
    const std::size_t dot = key.find('.');
    return dot == std::string::npos ? "run" : key.substr(0, dot);
}

std::string Option::last_part() const {
    const std::size_t dot = key.rfind('.');
    return dot == std::string::npos ? key : key.substr(dot + 1);
}

std::string Option::expectation() const {
    std::string text = type == OptionType::kChoice ? "one of " : "";
    text += type_text(*this);
    if (!zero_word.empty() && type != OptionType::kChoice) {
        text += fmt::format(", or '{}'", zero_word);
    }
    return text;
}

bool Option::is_automatic(const OptionValue& value) const {
    if (!automatic) {
        return false;
    }
    switch (type) {
        case OptionType::kInteger:
            return std::get<std::int64_t>(value) == 0;
        case OptionType::kReal:
        case OptionType::kDuration:
            return std::get<double>(value) == 0.0;
        case OptionType::kInterval:
        case OptionType::kText:
        case OptionType::kChoice:
            return std::get<std::string>(value).empty() ||
                   std::get<std::string>(value) == zero_word;
        case OptionType::kTextList:
            return std::get<std::vector<std::string>>(value).empty();
        case OptionType::kBool:
            return false;
    }
    return false;
}

bool is_in_range(const Option& option, const OptionValue& value) {
    if (option.type == OptionType::kChoice) {
        const auto& word = std::get<std::string>(value);
        return std::find(option.choices.begin(), option.choices.end(), word) !=
               option.choices.end();
    }
    double number = 0.0;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        number = static_cast<double>(*whole);
    } else if (const auto* real = std::get_if<double>(&value)) {
        number = *real;
    } else {
        return true;
    }
    if (number == 0.0 && !option.zero_word.empty()) {
        return true;
    }
    if (!std::isfinite(number) || (option.minimum && number < *option.minimum)) {
        return false;
    }
    return !option.maximum ||
           (option.maximum_excluded ? number < *option.maximum : number <= *option.maximum);
}

base::Result<OptionValue> parse_option_text(const Option& option, std::string_view text) {
    const bool is_storable = is_utf8(text);
    const std::string found =
        fmt::format("'{}'{}", base::printable(text), is_storable ? "" : ", which is not UTF-8");
    const bool is_zero_word = !option.zero_word.empty() && text == option.zero_word;
    std::optional<OptionValue> value;
    switch (option.type) {
        case OptionType::kBool:
            if (const auto flag = parse_switch(text)) {
                value = *flag;
            }
            break;
        case OptionType::kInteger:
            if (const auto whole = is_zero_word ? std::int64_t{0} : base::parse_count(text)) {
                value = *whole;
            }
            break;
        case OptionType::kReal:
            if (const auto real = is_zero_word ? 0.0 : base::parse_real(text)) {
                value = *real;
            }
            break;
        case OptionType::kDuration:
            if (const auto seconds = is_zero_word ? 0.0 : base::parse_duration(text)) {
                value = *seconds;
            }
            break;
        case OptionType::kInterval:
            if (is_zero_word) {
                value = std::string("0");
            } else if (const auto interval = checkpoint::parse_save_interval(text)) {
                value = checkpoint::to_string(*interval);
            }
            break;
        case OptionType::kText:
        case OptionType::kChoice:
            if (is_storable) {
                value = std::string(text);
            }
            break;
        case OptionType::kTextList:
            if (!is_storable) {
                break;
            }
            if (!text.starts_with('[')) {
                value = std::vector<std::string>{std::string(text)};
            } else if (auto texts = texts_of(Json::parse(text, nullptr, false))) {
                value = std::move(*texts);
            }
            break;
    }
    if (!value) {
        return unexpected(option, found);
    }
    return in_range(option, std::move(*value), found);
}

base::Result<OptionValue> parse_option_json(const Option& option, const Json& value) {
    const std::string found =
        base::printable(value.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (value.is_string() && !option.zero_word.empty() &&
        value.get_ref<const std::string&>() == option.zero_word) {
        return parse_option_text(option, option.zero_word);
    }
    switch (option.type) {
        case OptionType::kBool:
            if (value.is_boolean()) {
                return OptionValue(value.get<bool>());
            }
            break;
        case OptionType::kInteger:
            if (const auto whole = whole_number(value)) {
                return in_range(option, *whole, found);
            }
            break;
        case OptionType::kReal:
        case OptionType::kDuration:
            if (value.is_number()) {
                return in_range(option, value.get<double>(), found);
            }
            if (value.is_string() && option.type == OptionType::kDuration) {
                return parse_option_text(option, value.get_ref<const std::string&>());
            }
            break;
        case OptionType::kInterval:
            if (const auto whole = whole_number(value)) {
                return parse_option_text(option, fmt::format("{}", *whole));
            }
            if (value.is_string()) {
                return parse_option_text(option, value.get_ref<const std::string&>());
            }
            break;
        case OptionType::kText:
        case OptionType::kChoice:
            if (value.is_string()) {
                return in_range(option, value.get<std::string>(), found);
            }
            break;
        case OptionType::kTextList:
            if (value.is_string()) {
                return OptionValue(std::vector<std::string>{value.get<std::string>()});
            }
            if (auto texts = texts_of(value)) {
                return OptionValue(std::move(*texts));
            }
            break;
    }
    return unexpected(option, found);
}

std::string option_text(const Option& option, const OptionValue& value) {
    const bool has_zero_word = !option.zero_word.empty();
    if (const auto* flag = std::get_if<bool>(&value)) {
        return *flag ? "true" : "false";
    }
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        return *whole == 0 && has_zero_word ? option.zero_word : fmt::format("{}", *whole);
    }
    if (const auto* real = std::get_if<double>(&value)) {
        return *real == 0.0 && has_zero_word ? option.zero_word : fmt::format("{}", *real);
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
        return option.type == OptionType::kInterval && *text == "0" && has_zero_word
                   ? option.zero_word
                   : *text;
    }
    return option_json(option, value);
}

std::string option_json(const Option& option, const OptionValue& value) {
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        return fmt::format("{}", *whole);
    }
    if (const auto* real = std::get_if<double>(&value)) {
        std::string text = fmt::format("{}", *real);
        return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
        const auto interval = option.type == OptionType::kInterval
                                  ? checkpoint::parse_save_interval(*text)
                                  : std::nullopt;
        const bool is_steps = interval && interval->seconds == 0;
        return is_steps ? *text : json_text(*text);
    }
    if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
        std::string array = "[";
        for (const std::string& item : *texts) {
            array += array.size() > 1 ? "," : "";
            array += json_text(item);
        }
        return array + ']';
    }
    return option_text(option, value);
}

}  // namespace holdfast::config
