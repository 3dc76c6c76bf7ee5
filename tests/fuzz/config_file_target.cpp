// A config file: what it sets is in range, and prints as JSON that sets the same.
#include <fmt/format.h>

#include "config/config_file.h"
#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {

using config::Option;
using config::OptionValue;

namespace {

constexpr std::string_view kPath = "run.json";

void check_setting(const Option& option, const OptionValue& value) {
    require(config::is_in_range(option, value), "a value is in its range");
    config::Settings settings;
    option.set(settings, value);
    require(option.get(settings) == value, "a value arrives in the settings");
    const std::string text =
        fmt::format("{{\"{}\":{}}}", option.key, config::option_json(option, value));
    const auto again = config::parse_config_text(config::option_table(), text, kPath);
    require(again.ok() && again.value().size() == 1 && again.value().front().first == &option &&
                again.value().front().second == value,
            "what is printed sets the same");
}

}  // namespace

bool check_config_file(std::string_view input) {
    const auto found = config::parse_config_text(config::option_table(), input, kPath);
    if (!found.ok()) {
        require_one_line(found.error());
        return false;
    }
    for (const auto& [option, value] : found.value()) {
        check_setting(*option, value);
    }
    return true;
}

std::vector<std::string> config_file_seeds() {
    const config::Settings settings;
    std::string all = "// every option with its default\n{";
    for (const Option& option : config::option_table().options()) {
        all += all.ends_with('{') ? "\n" : ",\n";
        all += fmt::format(
            "\"{}\": {}", option.key, config::option_json(option, option.get(settings)));
    }
    return {all + "\n}\n", R"({"model": {"n_layer": 4, "dropout": 0.1}, /* two */ "seed": 7})"};
}

}  // namespace holdfast::fuzz
