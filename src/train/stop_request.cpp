#include "train/stop_request.h"

#include <array>
#include <atomic>

#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

namespace holdfast::train {

namespace {

constexpr std::array kStopSignals = {SIGINT, SIGTERM, SIGHUP};

// Lock-free atomics are the only shared state a signal handler may touch.
std::atomic<int> stop_signal{0};
std::atomic<double> stop_seconds{0};
std::atomic<bool> save_requested{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free &&
              std::atomic<double>::is_always_lock_free);

void handle_stop(int signal_number, siginfo_t* info, void* /*context*/) {
    // The supervisor of ranks numbers the stops that it passes on. Its first may come after one
    // that a scheduler sent to every process of the job: that is the same wish.
    if (info != nullptr && info->si_code == SI_QUEUE && info->si_value.sival_int == 1 &&
        stop_signal.load() != 0) {
        return;
    }
    int expected = 0;
    // Before the signal is seen, so that who sees it sees its time; clock_gettime may be called in
    // a handler. A later first signal of another thread is some microseconds later.
    stop_seconds.store(base::monotonic_seconds());
    if (!stop_signal.compare_exchange_strong(expected, signal_number)) {
        // Nothing is flushed or unwound: published checkpoints need neither.
        ::_exit(128 + signal_number);
    }
}

void handle_save(int /*signal_number*/, siginfo_t* /*info*/, void* /*context*/) {
    save_requested.store(true);
}

struct OldActions {
    std::array<struct sigaction, kStopSignals.size()> stop{};
    struct sigaction save {};
    bool installed = false;
};

OldActions& old_actions() {
    static OldActions actions;
    return actions;
}

void install(int signal_number,
             void (*handler)(int, siginfo_t*, void*),
             struct sigaction* old_action) {
    struct sigaction action {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    HF_CHECK(::sigaction(signal_number, nullptr, old_action) == 0, "sigaction({})", signal_number);
    if (old_action->sa_handler != SIG_IGN) {
        HF_CHECK(::sigaction(signal_number, &action, nullptr) == 0, "sigaction({})", signal_number);
    }
}

}  // namespace

StopRequest::StopRequest() {
    OldActions& old = old_actions();
    HF_CHECK(!old.installed, "two StopRequests at a time");
    old.installed = true;
    stop_signal.store(0);
    save_requested.store(false);
    for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
        install(kStopSignals.at(i), handle_stop, &old.stop.at(i));
    }
    install(SIGUSR1, handle_save, &old.save);
}

StopRequest::~StopRequest() {
    OldActions& old = old_actions();
    for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
        ::sigaction(kStopSignals.at(i), &old.stop.at(i), nullptr);
    }
    ::sigaction(SIGUSR1, &old.save, nullptr);
    old.installed = false;
}

void StopRequest::ask(int signal_number) {
    if (signal_number == SIGUSR1) {
        save_requested.store(true);
        return;
    }
    int none = 0;
    stop_seconds.store(base::monotonic_seconds());
    stop_signal.compare_exchange_strong(none, signal_number);
}

int StopRequest::heard() {
    return stop_signal.load();
}

std::optional<int> StopRequest::signal() const {
    const int number = heard();
    return number == 0 ? std::nullopt : std::optional(number);
}

double StopRequest::asked_seconds() const {
    return stop_seconds.load();
}

bool StopRequest::take_save_request() const {
    return save_requested.exchange(false);
}

base::ExitCode StopRequest::exit_code_of(int signal_number) {
    switch (signal_number) {
        case SIGINT:
            return base::ExitCode::kInterrupted;
        case SIGTERM:
            return base::ExitCode::kTerminated;
        default:
            return base::ExitCode::kRestart;
    }
}

const char* StopRequest::name_of(int signal_number) {
    switch (signal_number) {
        case SIGINT:
            return "SIGINT";
        case SIGTERM:
            return "SIGTERM";
        case SIGHUP:
            return "SIGHUP";
        default:
            return "a signal";
    }
}

}  // namespace holdfast::train
