#include "cli/option_numbers.h"

#include <optional>

#include <fmt/format.h>

#include "base/words.h"
#include "cli/command.h"

namespace holdfast::cli {

double real_option(const config::CommandLine& line,
                   std::string_view name,
                   std::string_view otherwise) {
    const std::string text = line.value(name, otherwise);
    const std::optional<double> value = base::parse_real(text);
    if (!value) {
        fail_usage(fmt::format("--{}: expected a number, found '{}'", name, text));
    }
    return *value;
}

std::int64_t count_option(const config::CommandLine& line,
                          std::string_view name,
                          std::string_view otherwise,
                          std::int64_t minimum) {
    const std::string text = line.value(name, otherwise);
    const std::optional<std::int64_t> value = base::parse_count(text);
    if (!value || *value < minimum) {
        fail_usage(fmt::format(
            "--{}: expected a whole number, {} or more, found '{}'", name, minimum, text));
    }
    return *value;
}

}  // namespace holdfast::cli
