#include "fs/restarting_file_system.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "fault_file_system.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::fs {
namespace {

class Restarting : public ::testing::Test {
protected:
    void interrupt(Operation operation, bool for_ever = false) {
        faults_.arm({.operation = operation, .os_errno = EINTR, .for_ever = for_ever});
    }

    const TemporaryDirectory directory_;
    FaultFileSystem faults_{real_file_system()};
    RestartingFileSystem files_{faults_};
};

TEST_F(Restarting, RepeatsCallsOnNames) {
    const std::string path = directory_ / "a";
    interrupt(Operation::kMakeDirectory);
    EXPECT_TRUE(files_.make_directory(path).ok());
    interrupt(Operation::kMakeSymlink);
    EXPECT_TRUE(files_.make_symlink("a", directory_ / "s").ok());
    interrupt(Operation::kReadSymlink);
    EXPECT_EQ(files_.read_symlink(directory_ / "s").value(), "a");
    interrupt(Operation::kSyncDirectory);
    EXPECT_TRUE(files_.sync_directory(path).ok());
    interrupt(Operation::kList);
    EXPECT_TRUE(files_.list(path).ok());
    interrupt(Operation::kStatus);
    EXPECT_TRUE(files_.status(path).ok());
    interrupt(Operation::kSpace);
    EXPECT_TRUE(files_.space(path).ok());
    interrupt(Operation::kRename);
    EXPECT_TRUE(files_.rename(path, directory_ / "b", RenameMode::kNoReplace).ok());
    interrupt(Operation::kRemoveDirectory);
    EXPECT_TRUE(files_.remove_directory(directory_ / "b").ok());
    interrupt(Operation::kRemoveFile);
    EXPECT_TRUE(files_.remove_file(directory_ / "s").ok());
}

TEST_F(Restarting, RepeatsCallsOnFiles) {
    const std::string path = directory_ / "file";
    interrupt(Operation::kOpen);
    auto file = files_.open(path, {.mode = OpenMode::kCreateNew});
    ASSERT_TRUE(file.ok());
    interrupt(Operation::kLock);
    EXPECT_TRUE(file.value()->lock_exclusive().ok());
    interrupt(Operation::kTruncate);
    EXPECT_TRUE(file.value()->truncate(5).ok());
    interrupt(Operation::kFileStatus);
    EXPECT_EQ(file.value()->status().value().bytes, 5U);
    interrupt(Operation::kSetPermissions);
    EXPECT_TRUE(file.value()->set_permissions(0600).ok());
    interrupt(Operation::kDropCache);
    EXPECT_TRUE(file.value()->drop_cache().ok());
    interrupt(Operation::kHardLink);
    EXPECT_TRUE(files_.hard_link(path, directory_ / "link").ok());
    interrupt(Operation::kMap);
    EXPECT_TRUE(files_.map(path).ok());
    interrupt(Operation::kWrite);
    EXPECT_TRUE(write_all(*file.value(), std::as_bytes(std::span("12345", 5)), 0).ok());
    EXPECT_TRUE(faults_.fired());
}

TEST_F(Restarting, NeverRepeatsASyncOrAClose) {
    auto file = files_.open(directory_ / "file", {.mode = OpenMode::kCreateNew});
    faults_.reset_count();
    interrupt(Operation::kSync);
    EXPECT_EQ(file.value()->sync().error().os_errno, EINTR);
    interrupt(Operation::kClose);
    EXPECT_TRUE(file.value()->close().ok()) << "what was interrupted has closed";
    EXPECT_EQ(faults_.calls(), 2U);
}

TEST_F(Restarting, GivesUpOnACallThatIsInterruptedForEver) {
    interrupt(Operation::kStatus, true);
    EXPECT_EQ(files_.status(directory_.path()).error().os_errno, EINTR);
    EXPECT_EQ(faults_.calls(), static_cast<std::uint64_t>(kInterruptionsMax));
    auto file = files_.open(directory_ / "file", {.mode = OpenMode::kCreateNew});
    interrupt(Operation::kWrite, true);
    EXPECT_EQ(write_all(*file.value(), std::as_bytes(std::span("1", 1)), 0).error().os_errno,
              EINTR);
}

TEST_F(Restarting, AFileWhoseSyncIsInterruptedIsWrittenAnew) {
    interrupt(Operation::kSync);
    ASSERT_TRUE(replace_file(files_, directory_ / "file", "whole").ok());
    EXPECT_TRUE(faults_.fired());
    EXPECT_EQ(read_file(files_, directory_ / "file", 10).value(), "whole");
}

}  // namespace
}  // namespace holdfast::fs
