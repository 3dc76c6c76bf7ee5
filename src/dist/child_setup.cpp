#include "dist/child_setup.h"

#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace holdfast::dist {

namespace {

constexpr int kSetupExitCode = 127;
constexpr unsigned int kFirstAboveStandard = STDERR_FILENO + 1;
// Kernels before 5.9 close one by one; a limit of a thousand million descriptors would take
// minutes.
constexpr unsigned int kOneByOneMax = 1U << 20;

[[noreturn]] void give_up(const ChildSetup& setup, SetupStage stage) {
    const SetupFailure failure{stage, errno};
    // Eight bytes fit any pipe at once; a parent that is gone needs no report.
    const ssize_t written = ::write(setup.report, &failure, sizeof failure);
    static_cast<void>(written);
    ::_exit(kSetupExitCode);
}

void tie_to_parent(const ChildSetup& setup) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != setup.parent) {
        give_up(setup, SetupStage::kParentGone);
    }
    if (::setpgid(0, 0) != 0) {
        give_up(setup, SetupStage::kGroup);
    }
}

void place_standard_streams(const ChildSetup& setup) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing < 0 || (nothing != STDIN_FILENO && ::dup2(nothing, STDIN_FILENO) < 0)) {
        give_up(setup, SetupStage::kStandardStreams);
    }
    if (setup.stdout_descriptor >= 0 && ::dup2(setup.stdout_descriptor, STDOUT_FILENO) < 0) {
        give_up(setup, SetupStage::kStandardStreams);
    }
    if (setup.stderr_descriptor >= 0 && ::dup2(setup.stderr_descriptor, STDERR_FILENO) < 0) {
        give_up(setup, SetupStage::kStandardStreams);
    }
    if (nothing == STDOUT_FILENO && setup.stdout_descriptor < 0) {
        ::close(nothing);  // stdout was closed and stays so
    }
    if (nothing == STDERR_FILENO && setup.stderr_descriptor < 0) {
        ::close(nothing);
    }
}

// Closes first to last, both included.
void close_span(unsigned int first, unsigned int last) {
    if (first > last || ::close_range(first, last, 0) == 0) {
        return;
    }
    rlimit limit{};
    unsigned int end = kOneByOneMax;
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end) {
        end = static_cast<unsigned int>(limit.rlim_cur);
    }
    for (unsigned int number = first; number <= last && number < end; ++number) {
        ::close(static_cast<int>(number));  // most are not open
    }
}

void close_others(const ChildSetup& setup) {
    unsigned int first = kFirstAboveStandard;
    const auto keep = [&](int descriptor) {
        const auto number = static_cast<unsigned int>(descriptor);
        if (number > first) {
            close_span(first, number - 1);
        }
        first = number + 1;
    };
    bool report_seen = false;
    for (std::size_t i = 0; i < setup.kept_count; ++i) {
        if (!report_seen && setup.report < setup.kept[i]) {
            keep(setup.report);
            report_seen = true;
        }
        keep(setup.kept[i]);
        if (::fcntl(setup.kept[i], F_SETFD, 0) != 0) {
            give_up(setup, SetupStage::kDescriptors);
        }
    }
    if (!report_seen) {
        keep(setup.report);
    }
    close_span(first, UINT_MAX);
}

// A handler of the parent must not run here: it would write into the parent's own pipe. exec would
// take it away a moment later anyway.
void reset_handlers() {
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action {};
        if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN ||
            action.sa_handler == SIG_DFL) {
            continue;  // two numbers belong to the C library and cannot be asked for
        }
        action = {};
        action.sa_handler = SIG_DFL;
        ::sigaction(number, &action, nullptr);
    }
}

}  // namespace

std::string_view verb_of(SetupStage stage) {
    switch (stage) {
        case SetupStage::kParentGone:
            return "tie to its parent";
        case SetupStage::kGroup:
            return "make a process group for";
        case SetupStage::kStandardStreams:
            return "connect the streams of";
        case SetupStage::kDescriptors:
            return "hand an open file to";
        case SetupStage::kExec:
            break;
    }
    return "start";
}

void become_program(const ChildSetup& setup) {
    tie_to_parent(setup);
    place_standard_streams(setup);
    close_others(setup);
    reset_handlers();
    if (::sigprocmask(SIG_SETMASK, &setup.signal_mask, nullptr) != 0) {
        give_up(setup, SetupStage::kExec);
    }
    ::execve(setup.executable, setup.arguments, setup.environment);
    give_up(setup, SetupStage::kExec);
}

}  // namespace holdfast::dist
