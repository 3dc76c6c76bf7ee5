// holdfast checkpoints resume-command: the words that go on with a run.
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checkpoints_action.h"
#include "cli/command.h"
#include "cli/resume_words.h"
#include "cli/stored_run.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {

namespace {

const std::array kOptions = {
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

base::ExitCode run(const config::CommandLine& line) {
    fs::FileSystem& file_system = fs::real_file_system();
    const std::string& directory = line.positional.front();
    look_at_run(file_system, directory);
    const std::string command = value_or_fail(resume_command_of(file_system, directory));
    if (line.has("json")) {
        fmt::print("{}\n", nlohmann::ordered_json({{"command", command}}).dump());
    } else {
        fmt::print("{}\n", command);
    }
    return base::ExitCode::kDone;
}

}  // namespace

CheckpointsAction checkpoints_resume_command_action() {
    return {
        .name = "resume-command",
        .operands = "DIR",
        .summary = "the command that goes on with the run, with the settings it was started with",
        .text =
            "\nOne line for a shell, quoted. Settings that came from the environment, the command "
            "line or a config\n"
            "file that is gone are spelled out.\n\n"
            "  holdfast checkpoints resume-command checkpoints/demo\n",
        .options = kOptions,
        .run = run};
}

}  // namespace holdfast::cli
