// A command of the program: `holdfast NAME arguments`. One file a command; main.cpp lists them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/command_line.h"

namespace holdfast::cli {

struct Command {
    std::string_view name;
    std::string_view summary;  // one line of `holdfast --help`
    // `arguments` come after the command's name. Prints results on stdout. Throws base::Failure to
    // end with a message and an exit code.
    base::ExitCode (*run)(const std::vector<std::string>& arguments);
};

// How the program was called (argv[0]): for commands that it prints for people to run.
void set_program_name(std::string name);
const std::string& program_name();

base::ExitCode run_train(const std::vector<std::string>& arguments);
base::ExitCode run_checkpoints(const std::vector<std::string>& arguments);
base::ExitCode run_prepare(const std::vector<std::string>& arguments);
base::ExitCode run_sample(const std::vector<std::string>& arguments);
base::ExitCode run_bench(const std::vector<std::string>& arguments);
base::ExitCode run_eval(const std::vector<std::string>& arguments);
base::ExitCode run_doctor(const std::vector<std::string>& arguments);

// The exit code that an Error ends the program with: usage for a wrong request, 3 for what cannot
// be resumed or is damaged, 1 else.
base::ExitCode exit_code_of(const base::Error& error);

// Throws the Failure of an error.
[[noreturn]] void fail(const base::Error& error);
[[noreturn]] void fail_usage(const std::string& what);

// Prints `text` and then the options, a line each, on stdout.
void print_command_help(std::string_view text, std::span<const config::CommandOption> options);

// The value, or the end of the command.
template <typename ResultT>
auto value_or_fail(ResultT result) {
    if (!result.ok()) {
        fail(result.error());
    }
    return std::move(result).value();
}

}  // namespace holdfast::cli
