#include "dist/signal_inbox.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

#include <signal.h>
#include <unistd.h>

#include "base/check.h"

namespace holdfast::dist {

using base::Result;
using base::Status;

namespace {

constexpr std::array kCaught = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGTSTP, SIGCHLD, SIGPIPE};

// A lock-free atomic is the only state that a handler may read.
std::atomic<int> inbox_descriptor{-1};
static_assert(std::atomic<int>::is_always_lock_free);

std::array<struct sigaction, kCaught.size()>& old_actions() {
    static std::array<struct sigaction, kCaught.size()> actions{};
    return actions;
}

void put_into_inbox(int signal_number) {
    const int errno_before = errno;
    const auto byte = static_cast<unsigned char>(signal_number);
    // A full pipe holds tens of thousands of signals that nobody has looked at; one more says no
    // more than they do.
    const ssize_t written = ::write(inbox_descriptor.load(), &byte, 1);
    static_cast<void>(written);
    errno = errno_before;
}

void do_nothing(int /*signal_number*/) {}

void catch_signal(int signal_number, struct sigaction& old_action) {
    struct sigaction action {};
    // A handler, not SIG_IGN: exec would hand that on to the children.
    action.sa_handler = signal_number == SIGPIPE ? do_nothing : put_into_inbox;
    action.sa_flags = SA_NOCLDSTOP;
    sigemptyset(&action.sa_mask);
    HF_CHECK(::sigaction(signal_number, nullptr, &old_action) == 0, "sigaction({})", signal_number);
    if (old_action.sa_handler != SIG_IGN || signal_number == SIGCHLD) {
        HF_CHECK(::sigaction(signal_number, &action, nullptr) == 0, "sigaction({})", signal_number);
    }
}

}  // namespace

Result<std::unique_ptr<SignalInbox>> SignalInbox::open() {
    Result<Pipe> pipe = make_pipe();
    if (!pipe.ok()) {
        return pipe.error();
    }
    for (const OwnedDescriptor* end : {&pipe.value().read_end, &pipe.value().write_end}) {
        if (const Status status = set_non_blocking(end->number()); !status.ok()) {
            return status.error();
        }
    }
    return std::unique_ptr<SignalInbox>(new SignalInbox(std::move(pipe).value()));
}

SignalInbox::SignalInbox(Pipe pipe) : pipe_(std::move(pipe)) {
    HF_CHECK(inbox_descriptor.load() < 0, "two SignalInboxes at a time");
    inbox_descriptor.store(pipe_.write_end.number());
    for (std::size_t i = 0; i < kCaught.size(); ++i) {
        catch_signal(kCaught.at(i), old_actions().at(i));
    }
}

SignalInbox::~SignalInbox() {
    for (std::size_t i = 0; i < kCaught.size(); ++i) {
        ::sigaction(kCaught.at(i), &old_actions().at(i), nullptr);
    }
    inbox_descriptor.store(-1);
}

std::vector<int> SignalInbox::take() {
    std::vector<int> signals;
    std::array<unsigned char, 256> bytes{};
    for (;;) {
        const ssize_t count = ::read(pipe_.read_end.number(), bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            HF_CHECK(count < 0 && errno == EAGAIN, "the pipe of signals: error {}", errno);
            return signals;
        }
        signals.insert(signals.end(), bytes.begin(), bytes.begin() + count);
    }
}

}  // namespace holdfast::dist
