#include "dist/child_setup.h"

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "dist/owned_descriptor.h"

namespace holdfast::dist {
namespace {

TEST(ChildSetup, AChildWhoseParentIsGoneStartsNothing) {
    auto report = make_pipe();
    ASSERT_TRUE(report.ok());
    std::string program = HOLDFAST_RANK_CHILD;
    std::array<char*, 2> arguments{program.data(), nullptr};
    std::array<char*, 1> environment{nullptr};
    ChildSetup setup;
    setup.executable = program.c_str();
    setup.arguments = arguments.data();
    setup.environment = environment.data();
    setup.report = report.value().write_end.number();
    setup.parent = ::getppid();  // what a child sees whose parent has ended is somebody else
    sigemptyset(&setup.signal_mask);
    const pid_t pid = ::fork();
    if (pid == 0) {
        become_program(setup);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 127) << status;
    SetupFailure failure;
    ASSERT_EQ(::read(report.value().read_end.number(), &failure, sizeof failure),
              static_cast<ssize_t>(sizeof failure));
    EXPECT_EQ(failure.stage, SetupStage::kParentGone);
}

}  // namespace
}  // namespace holdfast::dist
