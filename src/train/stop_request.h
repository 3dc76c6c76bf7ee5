// The wish to stop, from a signal to the loops that must see it.
//
// The handler only sets atomics (async-signal-safe). Every loop of a run that can take long asks
// reason(): between steps, between micro-batches, between evaluation units, and while waiting for
// data or for a save.
//   SIGINT, SIGTERM, SIGHUP   save and stop; the second of any of them ends the process at once
//                             with 128 + number; the first that a supervisor of ranks passes on
//                             (dist/rank_group.h) is never the second
//   SIGUSR1                   save and go on
// A signal that was ignored when the process started stays ignored (nohup).
#pragma once

#include <csignal>
#include <optional>

#include "base/error.h"

namespace holdfast::train {

// Installs the handlers for its lifetime and puts the old ones back. At most one exists at a time.
class StopRequest {
public:
    StopRequest();
    ~StopRequest();
    StopRequest(const StopRequest&) = delete;
    StopRequest& operator=(const StopRequest&) = delete;
    StopRequest(StopRequest&&) = delete;
    StopRequest& operator=(StopRequest&&) = delete;

    // As if the signal had come to this process, when none has yet: another rank heard it. Any
    // thread.
    static void ask(int signal_number);
    // The signal that asked for the stop, 0 for none; also before there is a StopRequest. Any
    // thread.
    static int heard();

    // The signal that asked for the stop, or nothing. Any thread.
    [[nodiscard]] std::optional<int> signal() const;
    [[nodiscard]] bool stop_asked() const { return signal().has_value(); }
    // When it came, on the clock of base::monotonic_seconds(); only when stop_asked().
    [[nodiscard]] double asked_seconds() const;

    // True once for each SIGUSR1 since the last call.
    [[nodiscard]] bool take_save_request() const;

    // The exit code that belongs to the signal: 130, 143, or 75 for SIGHUP.
    static base::ExitCode exit_code_of(int signal_number);
    // "SIGTERM".
    static const char* name_of(int signal_number);
};

}  // namespace holdfast::train
