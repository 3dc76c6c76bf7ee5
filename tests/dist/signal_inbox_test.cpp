#include "dist/signal_inbox.h"

#include <poll.h>
#include <signal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/signal_handler.h"

namespace holdfast::dist {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::unique_ptr<SignalInbox> open_inbox() {
    auto inbox = SignalInbox::open();
    EXPECT_TRUE(inbox.ok());
    return std::move(inbox).value();
}

void (*handler_of(int signal_number))(int) {
    struct sigaction action {};
    EXPECT_EQ(::sigaction(signal_number, nullptr, &action), 0);
    return action.sa_handler;
}

TEST(SignalInbox, GivesTheSignalsInTheirOrder) {
    const auto inbox = open_inbox();
    pollfd polled{inbox->descriptor(), POLLIN, 0};
    EXPECT_EQ(::poll(&polled, 1, 0), 0);
    for (const int signal_number : {SIGTERM, SIGINT, SIGINT, SIGHUP, SIGUSR1, SIGTSTP, SIGCHLD}) {
        ::raise(signal_number);
    }
    EXPECT_EQ(::poll(&polled, 1, 0), 1);
    EXPECT_THAT(inbox->take(),
                ElementsAre(SIGTERM, SIGINT, SIGINT, SIGHUP, SIGUSR1, SIGTSTP, SIGCHLD));
    EXPECT_THAT(inbox->take(), IsEmpty());
}

TEST(SignalInbox, AnIgnoredSignalStaysIgnored) {
    set_handler(SIGHUP, SIG_IGN);
    {
        const auto inbox = open_inbox();
        ::raise(SIGHUP);
        EXPECT_THAT(inbox->take(), IsEmpty());
    }
    EXPECT_EQ(handler_of(SIGHUP), SIG_IGN);
    set_handler(SIGHUP, SIG_DFL);
}

TEST(SignalInbox, TheEndOfAChildIsHeardEvenWhereItWasIgnored) {
    set_handler(SIGCHLD, SIG_IGN);
    {
        const auto inbox = open_inbox();
        ::raise(SIGCHLD);
        EXPECT_THAT(inbox->take(), ElementsAre(SIGCHLD));
    }
    EXPECT_EQ(handler_of(SIGCHLD), SIG_IGN);
    set_handler(SIGCHLD, SIG_DFL);
}

TEST(SignalInbox, PutsTheOldHandlersBack) {
    { const auto inbox = open_inbox(); }
    for (const int signal_number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGTSTP, SIGCHLD, SIGPIPE}) {
        EXPECT_EQ(handler_of(signal_number), SIG_DFL) << signal_number;
    }
}

TEST(SignalInbox, ABrokenPipeKillsNobody) {
    const auto inbox = open_inbox();
    ::raise(SIGPIPE);
    EXPECT_THAT(inbox->take(), IsEmpty());
}

}  // namespace
}  // namespace holdfast::dist
