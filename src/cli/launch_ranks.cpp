#include "cli/launch_ranks.h"

#include <unistd.h>

#include <fmt/format.h>

#include "cli/command.h"
#include "dist/supervisor.h"

namespace holdfast::cli {

bool must_start_ranks(const TrainRequest& request, const dist::LaunchEnvironment& launch) {
    const int asked = request.launch.world_size();
    if (launch.launcher == dist::Launcher::kHoldfast) {
        return false;  // the ranks are started with the words that started them
    }
    if (launch.launcher != dist::Launcher::kNone) {
        if (asked > 1 && launch.place.size > 1) {
            fail_usage(
                fmt::format("{} has started {} ranks already; leave --nproc-per-node and "
                            "--nnodes to it",
                            dist::name_of(launch.launcher),
                            launch.place.size));
        }
        return asked > 1;
    }
    return asked > 1;
}

base::ExitCode start_ranks(const TrainRequest& request, const std::vector<std::string>& arguments) {
    dist::RankProgram program;
    program.arguments = {program_name(), "train"};
    program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
    for (char** variable = environ; *variable != nullptr; ++variable) {
        program.environment.emplace_back(*variable);
    }
    const double limit_seconds = request.resolved.settings.train.time_limit_seconds;
    const auto available = [&](const dist::FailedAttempt& attempt) {
        // The end of its time is no failure, though its code says "start again": not here.
        const bool is_over = limit_seconds > 0 && attempt.failure.uptime_seconds >= limit_seconds;
        return is_over ? 0 : attempt.rank_count;
    };
    return static_cast<base::ExitCode>(
        value_or_fail(dist::supervise(request.launch, program, available)));
}

}  // namespace holdfast::cli
