#include "dist/child_process.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "dist/child_setup.h"

namespace holdfast::dist {

using base::Error;
using base::Result;
using base::Status;

namespace {

// Null-terminated pointers to `texts`, as exec takes them.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

// No signal runs a handler between fork and exec, in either process.
class AllSignalsBlocked {
public:
    AllSignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        HF_CHECK(::pthread_sigmask(SIG_SETMASK, &all, &before_) == 0, "pthread_sigmask");
    }
    ~AllSignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

    [[nodiscard]] const sigset_t& before() const { return before_; }

private:
    sigset_t before_{};
};

// Waits until the program runs (the pipe closes by itself) or a stage before it has failed.
std::optional<SetupFailure> wait_for_program(int report) {
    SetupFailure failure;
    ssize_t bytes = 0;
    do {
        bytes = ::read(report, &failure, sizeof failure);
    } while (bytes < 0 && errno == EINTR);
    if (bytes == 0) {
        return std::nullopt;
    }
    if (bytes < 0) {
        return SetupFailure{SetupStage::kExec, errno};
    }
    return failure;
}

void wait_for_end(pid_t pid) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

// A pipe for a stream of the child whose read end does not wait; both ends closed without one.
Result<Pipe> stream_pipe(bool wanted) {
    if (!wanted) {
        return Pipe{};
    }
    Result<Pipe> made = make_pipe();
    if (made.ok()) {
        const Status status = set_non_blocking(made.value().read_end.number());
        if (!status.ok()) {
            return status.error();
        }
    }
    return made;
}

// Forks and waits for the program; the number of the process that runs it.
Result<pid_t> fork_program(ChildSetup& setup, Pipe report) {
    setup.report = report.write_end.number();
    setup.parent = ::getpid();
    pid_t pid = -1;
    int fork_errno = 0;
    {
        const AllSignalsBlocked blocked;
        setup.signal_mask = blocked.before();
        pid = ::fork();
        fork_errno = errno;
        if (pid == 0) {
            become_program(setup);
        }
    }
    if (pid < 0) {
        return base::error_from_errno("make a process for", setup.executable, fork_errno);
    }
    report.write_end.close();
    if (const auto failure = wait_for_program(report.read_end.number())) {
        ::kill(pid, SIGKILL);
        wait_for_end(pid);
        return base::error_from_errno(verb_of(failure->stage), setup.executable, failure->os_errno);
    }
    return pid;
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const ChildOrder& order) {
    Result<Pipe> out = stream_pipe(order.pipe_stdout);
    Result<Pipe> err = stream_pipe(order.pipe_stderr);
    Result<Pipe> report = make_pipe();
    for (const Result<Pipe>* pipe : {&out, &err, &report}) {
        if (!pipe->ok()) {
            return pipe->error().within("starting " + order.executable);
        }
    }
    std::vector<std::string> arguments = order.arguments;
    std::vector<std::string> environment = order.environment;
    std::vector<int> kept = order.inherited;
    std::sort(kept.begin(), kept.end());
    HF_CHECK(kept.empty() || kept.front() > STDERR_FILENO,
             "descriptor {} is a standard stream",
             kept.front());
    const std::vector<char*> argument_pointers = pointers_to(arguments);
    const std::vector<char*> environment_pointers = pointers_to(environment);
    ChildSetup setup;
    setup.executable = order.executable.c_str();
    setup.arguments = argument_pointers.data();
    setup.environment = environment_pointers.data();
    setup.stdout_descriptor = out.value().write_end.number();
    setup.stderr_descriptor = err.value().write_end.number();
    setup.kept = kept.data();
    setup.kept_count = kept.size();
    const Result<pid_t> pid = fork_program(setup, std::move(report).value());
    if (!pid.ok()) {
        return pid.error();
    }
    return ChildProcess(
        pid.value(), std::move(out.value().read_end), std::move(err.value().read_end));
}

ChildProcess::ChildProcess(pid_t pid, OwnedDescriptor stdout_pipe, OwnedDescriptor stderr_pipe)
    : pid_(pid), stdout_pipe_(std::move(stdout_pipe)), stderr_pipe_(std::move(stderr_pipe)) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      reaped_(other.reaped_),
      stdout_pipe_(std::move(other.stdout_pipe_)),
      stderr_pipe_(std::move(other.stderr_pipe_)) {}

ChildProcess::~ChildProcess() {
    if (pid_ > 0 && !reaped_) {
        send_group(SIGKILL);
        wait_for_end(pid_);
    }
}

std::optional<ChildEnd> ChildProcess::reap() {
    HF_CHECK(pid_ > 0 && !reaped_, "process {} is reaped twice", pid_);
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        HF_CHECK(errno == EINTR, "waitid({}): error {}", pid_, errno);
    }
    if (info.si_pid == 0) {
        return std::nullopt;
    }
    // While the child is not reaped its number, and so that of its group, is nobody else's.
    send_group(SIGKILL);
    wait_for_end(pid_);
    reaped_ = true;
    return ChildEnd{info.si_code != CLD_EXITED, info.si_status};
}

void ChildProcess::send(int signal_number, int value) {
    HF_CHECK(pid_ > 0 && !reaped_, "signal {} to process {}, which is reaped", signal_number, pid_);
    sigval carried{};
    carried.sival_int = value;
    // EAGAIN: the user has too many signals waiting; a plain one needs no place among them. The
    // child is ours and not reaped, so nothing else can fail.
    if (::sigqueue(pid_, signal_number, carried) != 0 && errno == EAGAIN) {
        ::kill(pid_, signal_number);
    }
}

void ChildProcess::send_group(int signal_number) {
    HF_CHECK(pid_ > 0 && !reaped_, "signal {} to group {}, which is reaped", signal_number, pid_);
    // ESRCH would mean an empty group; its leader is at least a zombie.
    ::kill(-pid_, signal_number);
}

}  // namespace holdfast::dist
