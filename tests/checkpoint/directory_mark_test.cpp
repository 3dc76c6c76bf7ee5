#include "checkpoint/directory_mark.h"

#include <fcntl.h>

#include <gmock/gmock.h>
#include <stdio.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

class DirectoryMarkTest : public RunFixture {
protected:
    static void exchange(const std::string& a, const std::string& b) {
        ASSERT_EQ(::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE), 0);
    }
};

TEST_F(DirectoryMarkTest, DirectoryThatIsThereIsNotMadeAgain) {
    auto opened = open();
    EXPECT_FALSE(opened.value().run.ensure_there().value());
}

TEST_F(DirectoryMarkTest, DeletedDirectoryIsMadeAgainAndLocked) {
    auto opened = open();
    RunDirectory& run = opened.value().run;
    ASSERT_TRUE(save(run, 250).ok());
    std::filesystem::remove_all(dir_);
    EXPECT_FALSE(save(run, 500).ok());
    EXPECT_TRUE(run.ensure_there().value());
    EXPECT_FALSE(run.ensure_there().value());
    EXPECT_TRUE(save(run, 500).ok());
    EXPECT_THAT(labels(), ::testing::ElementsAre("rolling/step_00000500"));
    // It is the same run, and nobody else may take it.
    EXPECT_EQ(open().error().kind, base::ErrorKind::kBusy);
    const std::string run_id = run.identity().run_id;
    opened = base::Error{};
    EXPECT_EQ(open().value().run.identity().run_id, run_id);
}

TEST_F(DirectoryMarkTest, EmptiedDirectoryAndDeletedParentsAreMadeAgain) {
    dir_ = (temporary_ / "above") + "/run";
    auto opened = open();
    for (const auto& inside : std::filesystem::directory_iterator(dir_)) {
        std::filesystem::remove_all(inside);
    }
    EXPECT_TRUE(opened.value().run.ensure_there().value());
    std::filesystem::remove_all(temporary_ / "above");
    EXPECT_TRUE(opened.value().run.ensure_there().value());
    EXPECT_TRUE(save(opened.value().run, 250).ok());
}

TEST_F(DirectoryMarkTest, ReplacedDirectoryIsLeftAlone) {
    auto opened = open();
    const std::string other = temporary_ / "other";
    std::filesystem::create_directory(other);
    exchange(other, dir_);
    const auto there = opened.value().run.ensure_there();
    EXPECT_EQ(there.error().kind, base::ErrorKind::kBusy);
    EXPECT_THAT(there.error().what, ::testing::HasSubstr("was replaced by another directory"));
    EXPECT_TRUE(std::filesystem::is_empty(dir_));
    exchange(other, dir_);
    EXPECT_FALSE(opened.value().run.ensure_there().value());
}

TEST_F(DirectoryMarkTest, LockOfAnotherTrainerIsLeftAlone) {
    auto opened = open();
    std::filesystem::remove(in_run("lock"));
    std::ofstream(in_run("lock.other")) << "somebody";
    std::filesystem::rename(in_run("lock.other"), in_run("lock"));
    EXPECT_EQ(opened.value().run.ensure_there().error().kind, base::ErrorKind::kBusy);
}

// A symlink to another disk stands for a mount that goes: what is left in its place is on this one.
TEST_F(DirectoryMarkTest, DiskThatWentIsNotWrittenOver) {
    const std::string memory = memory_directory();
    if (memory.empty()) {
        GTEST_SKIP() << "no second file system in /dev/shm";
    }
    std::filesystem::create_directory_symlink(memory, temporary_ / "disk");
    dir_ = (temporary_ / "disk") + "/run";
    auto opened = open();
    std::filesystem::remove(temporary_ / "disk");
    std::filesystem::create_directory(temporary_ / "disk");
    const auto there = opened.value().run.ensure_there();
    EXPECT_EQ(there.error().kind, base::ErrorKind::kBusy);
    EXPECT_THAT(there.error().what, ::testing::HasSubstr("is not on the disk it was on"));
    EXPECT_TRUE(std::filesystem::is_empty(temporary_ / "disk"));
    std::filesystem::remove_all(memory);
}

}  // namespace
}  // namespace holdfast::checkpoint
