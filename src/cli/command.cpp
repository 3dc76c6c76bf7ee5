#include "cli/command.h"

#include <utility>

#include <fmt/format.h>

namespace holdfast::cli {

namespace {

std::string& stored_program_name() {
    static std::string name = "holdfast";
    return name;
}

}  // namespace

void set_program_name(std::string name) {
    stored_program_name() = std::move(name);
}

const std::string& program_name() {
    return stored_program_name();
}

base::ExitCode exit_code_of(const base::Error& error) {
    switch (error.kind) {
        case base::ErrorKind::kInvalid:
        case base::ErrorKind::kExists:
            return base::ExitCode::kUsage;
        case base::ErrorKind::kNotFound:
        case base::ErrorKind::kCorrupt:
            return base::ExitCode::kNothingToResume;
        default:
            return base::ExitCode::kFailed;
    }
}

void fail(const base::Error& error) {
    throw base::Failure(exit_code_of(error), error.what);
}

void fail_usage(const std::string& what) {
    throw base::Failure(base::ExitCode::kUsage, what);
}

void print_command_help(std::string_view text, std::span<const config::CommandOption> options) {
    fmt::print("{}options:\n", text);
    for (const config::CommandOption& option : options) {
        fmt::print(
            "  {:<26} {}\n",
            fmt::format(
                "--{}{}{}", option.name, option.value_name.empty() ? "" : " ", option.value_name),
            option.help);
    }
}

}  // namespace holdfast::cli
