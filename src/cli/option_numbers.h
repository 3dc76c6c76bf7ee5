// Numbers from a command's own options, with one clear line when they are none.
#pragma once

#include <cstdint>
#include <string_view>

#include "config/command_line.h"

namespace holdfast::cli {

// The value of --name, or `otherwise`, as a number. Throws base::Failure (usage) naming the option,
// what was expected and what was found.
double real_option(const config::CommandLine& line,
                   std::string_view name,
                   std::string_view otherwise);
// A whole number, `minimum` or more.
std::int64_t count_option(const config::CommandLine& line,
                          std::string_view name,
                          std::string_view otherwise,
                          std::int64_t minimum = 0);

}  // namespace holdfast::cli
