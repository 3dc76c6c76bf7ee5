#include "cli/launch_ranks.h"

#include <unistd.h>

#include "cli/command.h"
#include "dist/supervisor.h"

namespace holdfast::cli {

base::ExitCode start_ranks(const dist::LaunchConfig& launch,
                           const std::vector<std::string>& words) {
    dist::RankProgram program;
    program.arguments = {program_name()};
    program.arguments.insert(program.arguments.end(), words.begin(), words.end());
    for (char** variable = environ; *variable != nullptr; ++variable) {
        program.environment.emplace_back(*variable);
    }
    return static_cast<base::ExitCode>(value_or_fail(dist::supervise(launch, program)));
}

}  // namespace holdfast::cli
