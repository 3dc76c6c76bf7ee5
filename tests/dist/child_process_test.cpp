#include "dist/child_process.h"

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "dist/launched_program.h"
#include "dist/signal_handler.h"

namespace holdfast::dist {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// rank_child doing `actions` as a rank.
ChildOrder order_for(const std::vector<std::string>& actions) {
    ChildOrder order;
    order.executable = HOLDFAST_RANK_CHILD;
    order.arguments = {"rank_child", "--"};
    order.arguments.insert(order.arguments.end(), actions.begin(), actions.end());
    order.environment = {"HOLDFAST_RANK=0", "HOLDFAST_RESTART_COUNT=0"};
    return order;
}

ChildProcess must_start(const ChildOrder& order) {
    auto child = ChildProcess::start(order);
    EXPECT_TRUE(child.ok()) << child.error().what;
    return std::move(child).value();
}

// Reads to the end of the stream.
std::string all_of(OwnedDescriptor& pipe) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        pollfd polled{pipe.number(), POLLIN, 0};
        ::poll(&polled, 1, -1);
        const ssize_t count = ::read(pipe.number(), buffer.data(), buffer.size());
        if (count == 0) {
            return text;
        }
        if (count > 0) {
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }
}

ChildEnd end_of(ChildProcess& child) {
    for (;;) {
        if (const auto end = child.reap()) {
            return *end;
        }
        ::usleep(1000);
    }
}

TEST(ChildProcess, HasItsArgumentsItsEnvironmentAndNothingElse) {
    ChildOrder order = order_for({"arguments", "environ"});
    order.environment.emplace_back("ODD=a=b c");
    ChildProcess child = must_start(order);
    EXPECT_EQ(all_of(child.stdout_pipe()),
              "argument rank_child\nargument --\nargument arguments\nargument environ\n"
              "env HOLDFAST_RANK=0\nenv HOLDFAST_RESTART_COUNT=0\nenv ODD=a=b c\n");
    EXPECT_EQ(end_of(child), (ChildEnd{false, 0}));
}

TEST(ChildProcess, HasAPipeForEachStreamAndNoInput) {
    ChildProcess child = must_start(order_for({"say=to stdout", "err=to stderr", "stdin"}));
    EXPECT_EQ(all_of(child.stdout_pipe()), "to stdout\nstdin 0\n");
    EXPECT_EQ(all_of(child.stderr_pipe()), "to stderr\n");
    EXPECT_EQ(end_of(child), (ChildEnd{false, 0}));
}

TEST(ChildProcess, InheritsTheDescriptorsOfItsOrderAndNoOther) {
    const OwnedDescriptor kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    // Neither is close-on-exec: a lock file or a log that was opened carelessly.
    const OwnedDescriptor careless(::fcntl(kept.number(), F_DUPFD, 100));
    const OwnedDescriptor also_kept(::fcntl(kept.number(), F_DUPFD_CLOEXEC, 200));
    ASSERT_TRUE(careless.is_open());
    ChildOrder order = order_for({"descriptors"});
    order.inherited = {also_kept.number(), kept.number()};
    ChildProcess child = must_start(order);
    EXPECT_EQ(all_of(child.stdout_pipe()),
              "descriptors 0 1 2 " + std::to_string(kept.number()) + " " +
                  std::to_string(also_kept.number()) + "\n");
    end_of(child);
    ChildProcess plain = must_start(order_for({"descriptors"}));
    EXPECT_EQ(all_of(plain.stdout_pipe()), "descriptors 0 1 2\n");
    end_of(plain);
}

TEST(ChildProcess, LeadsAGroupOfItsOwn) {
    ChildProcess child = must_start(order_for({"ids"}));
    EXPECT_EQ(all_of(child.stdout_pipe()),
              "ids " + std::to_string(child.pid()) + " " + std::to_string(::getpid()) + " " +
                  std::to_string(child.pid()) + "\n");
    end_of(child);
}

TEST(ChildProcess, TellsCodeAndSignalApart) {
    ChildProcess code = must_start(order_for({"exit=42"}));
    EXPECT_EQ(end_of(code), (ChildEnd{false, 42}));
    ChildProcess killed = must_start(order_for({"signal=9"}));
    EXPECT_EQ(end_of(killed), (ChildEnd{true, SIGKILL}));
    ChildProcess crashed = must_start(order_for({"signal=15"}));
    EXPECT_EQ(end_of(crashed), (ChildEnd{true, SIGTERM}));
}

TEST(ChildProcess, ASignalCarriesItsValue) {
    ChildProcess child = must_start(order_for({"catch", "signals=2"}));
    std::array<char, 64> buffer{};
    pollfd polled{child.stdout_pipe().number(), POLLIN, 0};
    ASSERT_EQ(::poll(&polled, 1, -1), 1);
    ASSERT_GT(::read(child.stdout_pipe().number(), buffer.data(), buffer.size()), 0);
    child.send(SIGTERM, 7);
    ASSERT_EQ(::poll(&polled, 1, -1), 1);
    ASSERT_GT(::read(child.stdout_pipe().number(), buffer.data(), buffer.size()), 0);
    EXPECT_THAT(buffer.data(), testing::StartsWith("got 15 value 7\n"));
    child.send(SIGUSR1, 0);
    EXPECT_EQ(all_of(child.stdout_pipe()), "got 10 value 0\n");
    end_of(child);
}

TEST(ChildProcess, SignalsAreAsInANewProgram) {
    set_handler(SIGUSR2, SIG_IGN);
    set_handler(SIGUSR1, [](int) {});
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGQUIT);
    sigset_t before;
    ASSERT_EQ(::sigprocmask(SIG_BLOCK, &blocked, &before), 0);
    ChildProcess child = must_start(order_for({"ignored=10", "ignored=12", "signal=10"}));
    sigset_t after;
    ASSERT_EQ(::sigprocmask(SIG_SETMASK, &before, &after), 0);
    EXPECT_EQ(::sigismember(&after, SIGQUIT), 1);
    EXPECT_EQ(::sigismember(&after, SIGTERM), 0) << "start() leaves the mask as it was";
    EXPECT_EQ(all_of(child.stdout_pipe()), "ignored 10 no\nignored 12 yes\n");
    EXPECT_EQ(end_of(child), (ChildEnd{true, SIGUSR1}));
    set_handler(SIGUSR1, SIG_DFL);
    set_handler(SIGUSR2, SIG_DFL);
}

TEST(ChildProcess, WhatItStartedDiesWithIt) {
    ChildProcess child = must_start(order_for({"grandchild"}));
    EXPECT_EQ(end_of(child), (ChildEnd{false, 0}));
    // The grandchild holds the other end of the pipe as long as it lives.
    EXPECT_THAT(all_of(child.stdout_pipe()), testing::StartsWith("grandchild "));
}

TEST(ChildProcess, GoesWithItsOwner) {
    pid_t pid = -1;
    {
        const ChildProcess child = must_start(order_for({"ignore=15", "sleep=1000"}));
        pid = child.pid();
    }
    EXPECT_EQ(::waitpid(pid, nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(ChildProcess, AProgramThatIsNotThereIsAnError) {
    ChildOrder order = order_for({});
    order.executable = "/no/such/program";
    const auto child = ChildProcess::start(order);
    ASSERT_FALSE(child.ok());
    EXPECT_EQ(child.error().kind, base::ErrorKind::kNotFound);
    EXPECT_THAT(child.error().what, HasSubstr("cannot start /no/such/program"));
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "nothing is left to be reaped";
}

TEST(ChildProcess, ADescriptorThatIsNotOpenIsAnError) {
    ChildOrder order = order_for({});
    order.inherited = {987};
    const auto child = ChildProcess::start(order);
    ASSERT_FALSE(child.ok());
    EXPECT_THAT(child.error().what, HasSubstr("cannot hand an open file to"));
}

TEST(ChildProcess, NoDescriptorsLeftIsAnError) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next_free = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    ASSERT_GE(next_free, 0);
    ::close(next_free);
    // A sanitizer that sees a class for the first time opens a pipe to look at it: it must have met
    // those of an error's words before.
    static_cast<void>(base::error_from_errno("open", "nothing", EMFILE).within("here"));
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(next_free) + 3;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const auto child = ChildProcess::start(order_for({}));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_FALSE(child.ok());
    EXPECT_EQ(child.error().os_errno, EMFILE);
}

}  // namespace
}  // namespace holdfast::dist
