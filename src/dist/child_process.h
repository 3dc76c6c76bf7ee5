// A child process: started, signalled, reaped.
//
// A child cannot outlive its parent. The kernel is told to kill it by SIGKILL when the thread that
// started it ends (PR_SET_PDEATHSIG), and a child that finds its parent gone before that was in
// force ends by itself. So start() belongs on a thread that outlives the child, the main thread.
//
// Each child leads a process group of its own. A terminal sends Ctrl+C to one group, that of the
// parent, so a child gets a signal once, when send() passes it on; and kill_group() reaches what
// the child itself has started.
//
// The child gets exactly the arguments, the environment and the descriptors of its order: standard
// input reads nothing, everything else but `inherited` is closed. Signals that were ignored stay
// ignored, others are as in a new program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "dist/owned_descriptor.h"

namespace holdfast::dist {

struct ChildOrder {
    std::string executable = "/proc/self/exe";  // the very file that runs, replaced since or not
    std::vector<std::string> arguments;         // the program's name first
    std::vector<std::string> environment;       // each "NAME=value"
    bool pipe_stdout = true;                    // false: the parent's own
    bool pipe_stderr = true;
    std::vector<int> inherited;  // descriptors from 3 on that the child gets at the same number
};

// How a process ended.
struct ChildEnd {
    bool by_signal = false;
    int number = 0;  // the exit code, or the signal

    bool operator==(const ChildEnd&) const = default;
};

// Use from one thread.
class ChildProcess {
public:
    // Returns when the program runs. kNotFound or kIo when the system refuses a process, a pipe or
    // the program; then nothing is left of it.
    static base::Result<ChildProcess> start(const ChildOrder& order);
    // Kills the group and waits, if the child was not reaped.
    ~ChildProcess();
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&&) = delete;
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    // Read ends of the pipes, which do not wait; not open without a pipe. Whoever has read to the
    // end closes them.
    OwnedDescriptor& stdout_pipe() { return stdout_pipe_; }
    OwnedDescriptor& stderr_pipe() { return stderr_pipe_; }

    // How the child ended, once it has; its group is killed with it. Does not wait. The process
    // number is free afterwards: nothing may be sent any more.
    std::optional<ChildEnd> reap();

    // Sends the child, not its group, a signal that carries `value` (sigqueue). Nothing happens to
    // a child that has ended.
    void send(int signal_number, int value);
    // Sends the child and whatever it has started a signal.
    void send_group(int signal_number);

private:
    ChildProcess(pid_t pid, OwnedDescriptor stdout_pipe, OwnedDescriptor stderr_pipe);

    pid_t pid_ = -1;
    bool reaped_ = false;
    OwnedDescriptor stdout_pipe_;
    OwnedDescriptor stderr_pipe_;
};

}  // namespace holdfast::dist
