// `holdfast checkpoints ACTION`: one file an action; checkpoints_command.cpp lists them.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/error.h"
#include "config/command_line.h"

namespace holdfast::cli {

struct CheckpointsAction {
    std::string_view name;
    std::string_view operands;  // "DIR", "SOURCE TARGET"
    std::size_t operand_count = 1;
    std::string_view summary;  // one line
    std::string_view text;     // the rest of its help, with an example
    std::span<const config::CommandOption> options;
    // `line.positional` are the operands. As Command::run.
    base::ExitCode (*run)(const config::CommandLine& line) = nullptr;
};

CheckpointsAction checkpoints_list_action();
CheckpointsAction checkpoints_verify_action();
CheckpointsAction checkpoints_clean_action();
CheckpointsAction checkpoints_copy_action();
CheckpointsAction checkpoints_hash_action();
CheckpointsAction checkpoints_resume_command_action();

}  // namespace holdfast::cli
