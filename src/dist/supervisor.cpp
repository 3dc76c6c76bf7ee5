#include "dist/supervisor.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include <sys/random.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/words.h"
#include "dist/restart_policy.h"

namespace holdfast::dist {

using base::Result;
using base::Status;

namespace {

// How long what is left to say may wait for an output that nobody reads, once a stop is wanted.
constexpr double kDrainSeconds = 2;

Result<std::string> random_token() {
    std::array<unsigned char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        return base::error_from_errno("read", "the system's random numbers", errno);
    }
    std::string text;
    for (const unsigned char byte : bytes) {
        text += fmt::format("{:02x}", byte);
    }
    return text;
}

// Supervisors of several nodes do not talk to each other: what they all know must do.
Result<std::string> run_token_of(const LaunchConfig& config) {
    if (!config.run_token.empty()) {
        return config.run_token;
    }
    if (config.nnodes == 1) {
        return random_token();
    }
    return fmt::format("{}:{}-{}x{}",
                       config.master_addr,
                       config.master_port == 0 ? kDefaultMasterPort : config.master_port,
                       config.nnodes,
                       config.nproc_per_node);
}

void tell_failure(RankOutput& output, const GroupOutcome& outcome) {
    const RankEnd& failure = *outcome.failure;
    if (outcome.last_lines.empty() || outcome.spoke_itself) {
        output.tell(
            fmt::format("rank {} failed first; {}",
                        failure.rank,
                        outcome.spoke_itself ? "what it said stands above" : "it said nothing"));
        return;
    }
    const std::size_t count = outcome.last_lines.size();
    output.tell(fmt::format("rank {} failed first; its last {}:",
                            failure.rank,
                            count == 1 ? "line" : fmt::format("{} lines", count)));
    for (const std::string& line : outcome.last_lines) {
        output.err().put_line("  | " + line);
    }
}

void tell_losses(RankOutput& output) {
    const OutputSink& out = output.out();
    if (out.lost_line_count() > 0 && &output.out() != &output.err()) {
        output.tell(fmt::format("{} lines of stdout were left out: {}",
                                out.lost_line_count(),
                                out.write_errno()
                                    ? std::generic_category().message(*out.write_errno())
                                    : "it did not take them in time"));
    }
    if (output.err().lost_line_count() > 0) {
        output.tell(fmt::format("{} lines of stderr were left out: it did not take them in time",
                                output.err().lost_line_count()));
    }
}

// Waits before a restart; a stop signal ends it early. The ranks' output goes on.
void pause_before_restart(double seconds,
                          SignalInbox& inbox,
                          RankOutput& output,
                          StopRecord& stop) {
    const double deadline_seconds = base::monotonic_seconds() + seconds;
    while (!stop.asked() && base::monotonic_seconds() < deadline_seconds) {
        std::vector<pollfd> polled = {{inbox.descriptor(), POLLIN, 0}};
        output.add_to(polled);
        if (poll_until(polled, deadline_seconds)) {
            output.write_ready(polled);
        }
        for (const int signal_number : inbox.take()) {
            if (is_stop_signal(signal_number)) {
                stop.signals.push_back(signal_number);
            }
        }
    }
}

// The attempts of one run, one after the other.
class Attempts {
public:
    Attempts(const LaunchConfig& config,
             const RankProgram& program,
             SignalInbox& inbox,
             std::string run_token)
        : config_(config),
          program_(program),
          inbox_(inbox),
          run_token_(std::move(run_token)),
          output_(STDOUT_FILENO, STDERR_FILENO),
          policy_(config) {}

    Result<int> run() {
        const Result<int> exit_code = run_all();
        output_.drain(inbox_, stop_, kDrainSeconds);
        tell_losses(output_);
        output_.drain(inbox_, stop_, kDrainSeconds);
        return exit_code;
    }

private:
    Result<int> run_all() {
        AttemptOrder order{first_slots(config_.nproc_per_node), run_token_, 0};
        for (;; ++order.restart_count) {
            const Result<GroupOutcome> outcome = run_one(order);
            if (!outcome.ok()) {
                return outcome.error();
            }
            if (!outcome.value().failure) {
                return outcome.value().exit_code;
            }
            tell_failure(output_, outcome.value());
            std::vector<int> slots = next_slots(order, outcome.value());
            if (slots.empty()) {
                return outcome.value().exit_code;
            }
            pause_before_restart(config_.restart_delay_seconds, inbox_, output_, stop_);
            if (stop_.asked()) {
                return exit_code_of_stop(stop_.signals.front());
            }
            order.slots = std::move(slots);
        }
    }

    Result<GroupOutcome> run_one(const AttemptOrder& order) {
        RankGroup group(config_, inbox_, output_, stop_);
        const Status started = group.start(program_, order);
        if (!started.ok()) {
            return started.error();
        }
        return group.wait();
    }

    // Empty: no restart.
    std::vector<int> next_slots(const AttemptOrder& order, const GroupOutcome& outcome) {
        RestartDecision decision = policy_.decide(
            {*outcome.failure, outcome.killed_ranks, order.slots, order.restart_count}, stop_);
        if (decision.slots.empty()) {
            if (!decision.reason.empty()) {
                output_.tell(decision.reason);
            }
            return {};
        }
        const std::size_t count = decision.slots.size();
        const std::size_t before = order.slots.size();
        output_.tell(fmt::format("restart {} of {} with {} {}{}{}",
                                 order.restart_count + 1,
                                 config_.max_restarts,
                                 count,
                                 count == 1 ? "rank" : "ranks",
                                 count == before ? "" : fmt::format(" (before: {})", before),
                                 decision.reason.empty() ? "" : ": " + decision.reason));
        return std::move(decision.slots);
    }

    const LaunchConfig& config_;
    const RankProgram& program_;
    SignalInbox& inbox_;
    std::string run_token_;
    RankOutput output_;
    StopRecord stop_;
    RestartPolicy policy_;
};

}  // namespace

Result<int> supervise(const LaunchConfig& config, const RankProgram& program) {
    if (const Status status = check_launch_config(config); !status.ok()) {
        return status.error();
    }
    Result<std::string> run_token = run_token_of(config);
    if (!run_token.ok()) {
        return run_token.error();
    }
    Result<std::unique_ptr<SignalInbox>> inbox = SignalInbox::open();
    if (!inbox.ok()) {
        return inbox.error();
    }
    return Attempts(config, program, *inbox.value(), std::move(run_token).value()).run();
}

}  // namespace holdfast::dist
