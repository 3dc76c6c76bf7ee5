// How a rank ended, in words, and what it means for the run: an orderly end or a failure, and which
// exit code of the supervisor (docs/operations.md lists them).
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "dist/child_process.h"

namespace holdfast::dist {

struct RankEnd {
    int rank = 0;
    pid_t pid = 0;
    ChildEnd end;
    double uptime_seconds = 0;
};

// The stop signals that were passed on to the ranks, over all restarts.
struct StopRecord {
    std::vector<int> signals;  // in their order
    bool killed = false;       // ranks that did not end after the second one were killed

    [[nodiscard]] bool asked() const { return !signals.empty(); }
};

// "SIGTERM", "signal 40".
std::string signal_name(int signal_number);

// "rank 3 (process 4711) was killed by SIGSEGV 12s after its start".
std::string in_words(const RankEnd& end);

// Done; or stopped as it was told to, which needs a stop signal that was passed on: by the exit
// code of that (130, 143, 75, 128 + number), by the signal itself before it had a handler, or by
// the SIGKILL that follows the second signal. Anything else is a failure.
bool is_orderly(const ChildEnd& end, const StopRecord& stop);

// With exit code 75: another rank did not answer, or is gone.
bool waited_in_vain(const ChildEnd& end);

// What the supervisor ends with when this end counts: the rank's own exit code; for a rank that a
// signal ended 130, 143 or 75 where is_orderly(), else 1.
int exit_code_of(const ChildEnd& end, const StopRecord& stop);

// The code of a stop by that signal: 130, 143, 75.
int exit_code_of_stop(int signal_number);

}  // namespace holdfast::dist
