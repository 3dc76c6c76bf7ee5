// `holdfast bench WHAT`: one file a measurement; bench_command.cpp lists them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/command_line.h"

namespace holdfast::cli {

struct BenchAction {
    std::string_view name;
    std::string_view summary;  // one line
    std::string_view text;     // its help, above the options
    std::span<const config::CommandOption> options;
    // `arguments` are the words behind `holdfast bench`, `line` what they say. As Command::run.
    base::ExitCode (*run)(const config::CommandLine& line,
                          const std::vector<std::string>& arguments) = nullptr;
};

BenchAction bench_checkpoint_action();
BenchAction bench_collective_action();

}  // namespace holdfast::cli
