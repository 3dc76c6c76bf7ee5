// Signals as something to wait for: a descriptor that becomes readable, beside the pipes.
//
// The handlers write the number of the signal into a pipe and do nothing else. Caught while it
// lives: SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGTSTP, and SIGCHLD. A signal that was ignored before
// stays ignored (nohup); only SIGCHLD is always caught. SIGPIPE does nothing, so that a write to a
// closed pipe is an error like another. Calls that wait are interrupted by these signals (no
// SA_RESTART), so even a write that hangs lets one through.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "dist/owned_descriptor.h"

namespace holdfast::dist {

// At most one exists at a time. It puts the old handlers back when it goes.
class SignalInbox {
public:
    // kIo when the system has no pipe left.
    static base::Result<std::unique_ptr<SignalInbox>> open();
    ~SignalInbox();
    SignalInbox(const SignalInbox&) = delete;
    SignalInbox& operator=(const SignalInbox&) = delete;

    // Readable when take() has something.
    [[nodiscard]] int descriptor() const { return pipe_.read_end.number(); }
    // The signals since the last call, in the order they came; does not wait.
    std::vector<int> take();

private:
    explicit SignalInbox(Pipe pipe);

    Pipe pipe_;
};

}  // namespace holdfast::dist
