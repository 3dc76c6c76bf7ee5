#include "cli/launch_ranks.h"

#include <unistd.h>

#include "cli/command.h"
#include "dist/supervisor.h"

namespace holdfast::cli {

base::ExitCode start_ranks(const dist::LaunchConfig& launch,
                           const std::vector<std::string>& words,
                           double limit_seconds) {
    dist::RankProgram program;
    program.arguments = {program_name()};
    program.arguments.insert(program.arguments.end(), words.begin(), words.end());
    for (char** variable = environ; *variable != nullptr; ++variable) {
        program.environment.emplace_back(*variable);
    }
    const auto available = [&](const dist::FailedAttempt& attempt) {
        // The end of its time is no failure, though its code says "start again": not here.
        const bool is_over = limit_seconds > 0 && attempt.failure.uptime_seconds >= limit_seconds;
        return is_over ? 0 : attempt.rank_count;
    };
    return static_cast<base::ExitCode>(value_or_fail(dist::supervise(launch, program, available)));
}

}  // namespace holdfast::cli
