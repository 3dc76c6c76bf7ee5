// One attempt: the ranks of this node, from their start until the last of them is reaped.
//
// State:   STARTING --start()--> RUNNING --all end--> OVER
//          RUNNING: a failure        -> the others have grace_seconds, then SIGTERM, then
//          kill_seconds,
//                                       then SIGKILL
//                   a stop signal    -> passed on to each rank once; no limit of time
//                   the second one   -> passed on; ranks end at once, or after kill_seconds by
//                   SIGKILL SIGUSR1          -> passed on SIGTSTP (Ctrl+Z) -> the ranks are
//                   stopped, then this process; they go on with it
//
// The value that a forwarded stop signal carries (siginfo si_value) is its number among those
// passed on, from 1. A scheduler that signals every process of a job reaches a rank beside the
// supervisor; by the value the rank can tell that from a second wish to stop.
//
// Use from one thread, which must live as long as the ranks (child_process.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "dist/child_process.h"
#include "dist/launch_config.h"
#include "dist/line_relay.h"
#include "dist/rank_end.h"
#include "dist/rank_output.h"
#include "dist/signal_inbox.h"

namespace holdfast::dist {

// The program that every rank runs.
struct RankProgram {
    std::string executable = "/proc/self/exe";
    std::vector<std::string> arguments;    // the program's name first
    std::vector<std::string> environment;  // each "NAME=value"; the launch variables are added
};

struct AttemptOrder {
    std::vector<int> slots;  // what each rank of this node runs on (restart_policy.h), ascending
    std::string run_token;
    int restart_count = 0;
};

struct GroupOutcome {
    std::optional<RankEnd> failure;       // the first end that was not orderly; where that was of a
                                          // rank that waited in vain, the one it waited for
    std::vector<std::string> last_lines;  // of the rank that failed, from its pipes
    bool spoke_itself = false;            // that rank wrote to the terminal, beside its pipes
    std::vector<int> killed_ranks;        // they did not end after it, nor after SIGTERM
    int exit_code = 0;                    // 0, or of the failure, or of the first orderly stop
};

class RankGroup {
public:
    // All must outlive this object.
    RankGroup(const LaunchConfig& config, SignalInbox& inbox, RankOutput& output, StopRecord& stop);

    // Starts every rank. On an error (kBusy: the master port is taken; kIo, kNotFound: no process,
    // no program) those already started are killed with this object.
    base::Status start(const RankProgram& program, const AttemptOrder& order);

    // Relays output and signals until the last rank is reaped.
    GroupOutcome wait();

private:
    struct Stream {
        OwnedDescriptor* pipe = nullptr;  // of the process
        std::optional<LineRelay> relay;   // nothing: the rank writes to the supervisor's own output
    };
    struct Rank {
        Rank(int number, ChildProcess started_process);

        int rank;
        ChildProcess process;
        double started_seconds;
        bool running = true;
        LastLines last_lines;
        std::vector<Stream> streams;
    };

    base::Status start_rank(const RankProgram& program,
                            const AttemptOrder& order,
                            int local_rank,
                            int master_port,
                            std::optional<int> listen_fd);
    [[nodiscard]] bool any_running() const;
    [[nodiscard]] std::string running_ranks() const;

    void serve_once();
    static void read_stream(Stream& stream);
    static void drain_stream(Stream& stream);
    void handle_signals();
    void pass_on(int signal_number, int value);
    void pass_on_stop(int signal_number);
    void stop_together();
    void reap_ended();
    void note_end(const RankEnd& end);
    void keep_deadlines();

    const LaunchConfig& config_;
    SignalInbox& inbox_;
    RankOutput& output_;
    StopRecord& stop_;
    std::vector<std::unique_ptr<Rank>> ranks_;  // relays point into them
    std::optional<double> term_at_seconds_;
    std::optional<double> kill_at_seconds_;
    bool others_were_signalled_ = false;  // after a failure: how they end says nothing of it
    GroupOutcome outcome_;
};

}  // namespace holdfast::dist
