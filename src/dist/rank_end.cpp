#include "dist/rank_end.h"

#include <algorithm>

#include <signal.h>

#include <fmt/format.h>

#include "base/error.h"
#include "base/words.h"

namespace holdfast::dist {

using base::ExitCode;

namespace {

constexpr int kSignalExitBase = 128;  // what a shell and StopRequest add to the number

bool was_passed_on(int signal_number, const StopRecord& stop) {
    return std::find(stop.signals.begin(), stop.signals.end(), signal_number) != stop.signals.end();
}

const char* meaning_of(int exit_code) {
    switch (static_cast<ExitCode>(exit_code)) {
        case ExitCode::kDone:
            return " (done)";
        case ExitCode::kFailed:
            return " (failed)";
        case ExitCode::kUsage:
            return " (wrong request)";
        case ExitCode::kNothingToResume:
            return " (nothing to resume)";
        case ExitCode::kNotDurable:
            return " (its last state is not durable)";
        case ExitCode::kOutOfMemory:
            return " (out of memory)";
        case ExitCode::kRestart:
            return " (stopped after a save)";
        case ExitCode::kInterrupted:
            return " (stopped by SIGINT)";
        case ExitCode::kTerminated:
            return " (stopped by SIGTERM)";
    }
    return "";
}

}  // namespace

std::string signal_name(int signal_number) {
    switch (signal_number) {
        case SIGHUP:
            return "SIGHUP";
        case SIGINT:
            return "SIGINT";
        case SIGQUIT:
            return "SIGQUIT";
        case SIGILL:
            return "SIGILL";
        case SIGTRAP:
            return "SIGTRAP";
        case SIGABRT:
            return "SIGABRT";
        case SIGBUS:
            return "SIGBUS";
        case SIGFPE:
            return "SIGFPE";
        case SIGKILL:
            return "SIGKILL";
        case SIGUSR1:
            return "SIGUSR1";
        case SIGSEGV:
            return "SIGSEGV";
        case SIGUSR2:
            return "SIGUSR2";
        case SIGPIPE:
            return "SIGPIPE";
        case SIGALRM:
            return "SIGALRM";
        case SIGTERM:
            return "SIGTERM";
        case SIGXCPU:
            return "SIGXCPU";
        case SIGXFSZ:
            return "SIGXFSZ";
        case SIGSYS:
            return "SIGSYS";
        default:
            return fmt::format("signal {}", signal_number);
    }
}

std::string in_words(const RankEnd& end) {
    const std::string who = fmt::format("rank {} (process {})", end.rank, end.pid);
    const std::string when =
        fmt::format("{} after its start", base::duration_in_words(end.uptime_seconds));
    if (!end.end.by_signal) {
        return fmt::format("{} ended with exit code {}{} {}",
                           who,
                           end.end.number,
                           meaning_of(end.end.number),
                           when);
    }
    return fmt::format("{} was killed by {} {}{}",
                       who,
                       signal_name(end.end.number),
                       when,
                       end.end.number == SIGKILL
                           ? " (nobody here sent it; the system does when memory runs out)"
                           : "");
}

bool waited_in_vain(const ChildEnd& end) {
    return !end.by_signal && end.number == static_cast<int>(ExitCode::kRestart);
}

bool is_orderly(const ChildEnd& end, const StopRecord& stop) {
    if (end.by_signal) {
        return was_passed_on(end.number, stop) || (end.number == SIGKILL && stop.killed);
    }
    if (end.number == static_cast<int>(ExitCode::kDone)) {
        return true;
    }
    if (!stop.asked()) {
        return false;
    }
    return end.number == static_cast<int>(ExitCode::kRestart) ||
           end.number == static_cast<int>(ExitCode::kInterrupted) ||
           end.number == static_cast<int>(ExitCode::kTerminated) ||
           was_passed_on(end.number - kSignalExitBase, stop);
}

int exit_code_of(const ChildEnd& end, const StopRecord& stop) {
    if (!end.by_signal) {
        return end.number;
    }
    if (!is_orderly(end, stop)) {
        return static_cast<int>(ExitCode::kFailed);
    }
    return exit_code_of_stop(end.number == SIGKILL ? stop.signals.front() : end.number);
}

int exit_code_of_stop(int signal_number) {
    switch (signal_number) {
        case SIGINT:
            return static_cast<int>(ExitCode::kInterrupted);
        case SIGTERM:
            return static_cast<int>(ExitCode::kTerminated);
        default:
            return static_cast<int>(ExitCode::kRestart);
    }
}

}  // namespace holdfast::dist
