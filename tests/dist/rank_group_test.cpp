#include "dist/rank_group.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/launched_program.h"
#include "dist/pipe_reader.h"
#include "dist/restart_policy.h"

namespace holdfast::dist {
namespace {

RankProgram program_of(const std::vector<std::string>& actions) {
    RankProgram program;
    program.executable = HOLDFAST_RANK_CHILD;
    program.arguments = {"rank_child", "--"};
    program.arguments.insert(program.arguments.end(), actions.begin(), actions.end());
    return program;
}

std::ptrdiff_t open_descriptor_count() {
    const std::filesystem::directory_iterator folder("/proc/self/fd");
    return std::distance(begin(folder), end(folder));
}

class RankGroupOfMany : public testing::Test {
protected:
    GroupOutcome run(int count, const std::vector<std::string>& actions) {
        LaunchConfig config;
        config.nproc_per_node = count;
        auto inbox = SignalInbox::open();
        EXPECT_TRUE(inbox.ok());
        const OwnedDescriptor nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
        RankOutput output(nowhere.number(), nowhere.number());
        StopRecord stop;
        RankGroup group(config, *inbox.value(), output, stop);
        const base::Status started =
            group.start(program_of(actions), {first_slots(count), "token", 0});
        EXPECT_TRUE(started.ok()) << started.error().what;
        return group.wait();
    }
};

TEST_F(RankGroupOfMany, TwoHundredThatEndAtOnceLeaveNoZombieAndNoDescriptor) {
    const std::ptrdiff_t before = open_descriptor_count();
    const GroupOutcome outcome = run(200, {"say=here"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_FALSE(outcome.failure);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
    EXPECT_EQ(open_descriptor_count(), before);
}

TEST_F(RankGroupOfMany, ACrashIsBlamedBeforeAnErrorThatIsSeenWithIt) {
    // Both are dead before either is looked at: start() waits for the last one's program.
    LaunchConfig config;
    config.nproc_per_node = 3;
    auto inbox = SignalInbox::open();
    ASSERT_TRUE(inbox.ok());
    const OwnedDescriptor nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    RankOutput output(nowhere.number(), nowhere.number());
    StopRecord stop;
    RankGroup group(config, *inbox.value(), output, stop);
    ASSERT_TRUE(group
                    .start(program_of({"0:exit=1", "1:signal=11", "2:exit=0"}),
                           {first_slots(3), "token", 0})
                    .ok());
    int zombies = 0;
    while (zombies < 3) {
        zombies = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
            std::ifstream file(entry.path() / "children");
            for (pid_t pid = 0; file >> pid;) {
                zombies += state_of(pid) == 'Z' ? 1 : 0;
            }
        }
    }
    const GroupOutcome outcome = group.wait();
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->rank, 1);
    EXPECT_EQ(outcome.exit_code, 1);
}

TEST_F(RankGroupOfMany, ThoseThatStartedAreGoneWhenOneCannot) {
    LaunchConfig config;
    config.nproc_per_node = 2;
    auto inbox = SignalInbox::open();
    ASSERT_TRUE(inbox.ok());
    PipeReader reader;
    RankOutput output(reader.write_end(), reader.write_end());
    StopRecord stop;
    {
        RankGroup group(config, *inbox.value(), output, stop);
        ASSERT_TRUE(group.start(program_of({"sleep=1000"}), {first_slots(2), "token", 0}).ok());
        RankProgram missing = program_of({});
        missing.executable = "/no/such/program";
        const base::Status failed = group.start(missing, {first_slots(1), "token", 0});
        ASSERT_FALSE(failed.ok());
        EXPECT_THAT(failed.error().what,
                    testing::StartsWith("starting rank 0: cannot start /no/such/program"));
    }
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace holdfast::dist
