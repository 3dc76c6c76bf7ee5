// Where the ranks' lines and the supervisor's own go: its stdout and its stderr.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <poll.h>

#include "dist/output_sink.h"
#include "dist/rank_end.h"
#include "dist/signal_inbox.h"

namespace holdfast::dist {

// Use from one thread.
class RankOutput {
public:
    // The descriptors stay the caller's and open. Two that lead to the same place (2>&1) share one
    // queue, so that their lines cannot be torn by each other.
    RankOutput(int stdout_descriptor, int stderr_descriptor);

    OutputSink& out() { return out_; }
    OutputSink& err() { return err_ ? *err_ : out_; }

    // A line of the supervisor, on stderr: "holdfast: <text>".
    void tell(std::string_view text);
    // True while ranks are to end: see OutputSink.
    void set_leaves_out(bool leaves_out);

    // Adds what waits to be written to a set for poll().
    void add_to(std::vector<pollfd>& polled);
    // Writes what poll() has found room for.
    void write_ready(const std::vector<pollfd>& polled);

    // Waits until all is written. After a stop signal, before or meanwhile, for no longer than
    // `seconds_max`, over all calls: perhaps nobody reads.
    void drain(SignalInbox& inbox, StopRecord& stop, double seconds_max);

private:
    OutputSink out_;
    std::optional<OutputSink> err_;
    std::optional<double> drained_until_seconds_;
};

// SIGINT, SIGTERM, SIGHUP.
bool is_stop_signal(int signal_number);

// Waits like poll() until something happens or the clock of base::monotonic_seconds() reaches
// `deadline_seconds`. False for nothing, a time that is over, or a signal.
bool poll_until(std::vector<pollfd>& polled, std::optional<double> deadline_seconds);

}  // namespace holdfast::dist
