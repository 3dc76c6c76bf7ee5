// Values as people write them on a command line, for every option: what is taken is in range, and
// prints to text that reads as the same value.
#include <fmt/format.h>

#include "base/words.h"
#include "config/option_table.h"
#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {

using config::Option;

namespace {

bool check_option(const Option& option, std::string_view input) {
    const auto value = config::parse_option_text(option, input);
    if (!value.ok()) {
        require_one_line(value.error());
        return false;
    }
    require(config::is_in_range(option, value.value()), "a value is in its range");
    const std::string text = config::option_text(option, value.value());
    const auto again = config::parse_option_text(option, text);
    require(again.ok() && again.value() == value.value(),
            fmt::format("what {} prints reads as the same", option.key));
    return true;
}

}  // namespace

bool check_option_text(std::string_view input) {
    bool taken = false;
    for (const Option& option : config::option_table().options()) {
        taken = check_option(option, input) || taken;
    }
    const auto option = config::option_table().find_by_name(input);
    if (!option.ok()) {
        require_one_line(option.error());
    }
    return taken;
}

std::vector<std::string> option_text_seeds() {
    return {"250",
            "524_288",
            "1.5M",
            "2B",
            "3e-4",
            "-0.1",
            "1h30m",
            "90s",
            "auto",
            "true",
            "off",
            "bf16",
            R"(["a","b"])",
            "a/b c",
            "none",
            "n_layer"};
}

}  // namespace holdfast::fuzz
