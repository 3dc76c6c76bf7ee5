#include "fs/disk_probe.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/fault_file_system.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::fs {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

class DiskProbeTest : public testing::Test {
protected:
    void fail_for_ever(Operation operation, int os_errno) {
        disk_.arm({.operation = operation, .os_errno = os_errno, .for_ever = true});
    }
    [[nodiscard]] bool nothing_left() const { return std::filesystem::is_empty(directory_.path()); }

    TemporaryDirectory directory_;
    FaultFileSystem disk_{real_file_system()};
};

TEST_F(DiskProbeTest, TellsWhatADiskCanAndLeavesNothing) {
    const auto probe = probe_disk(disk_, directory_.path(), 5 * kMiB / 2);
    ASSERT_TRUE(probe.ok()) << probe.error().what;
    EXPECT_EQ(probe.value().bytes, 2 * kMiB) << "whole MiB";
    EXPECT_TRUE(probe.value().has_locks);
    EXPECT_TRUE(probe.value().has_hard_links);
    EXPECT_TRUE(probe.value().has_symlinks);
    EXPECT_GT(probe.value().write_seconds, 0);
    EXPECT_GT(probe.value().read_seconds, 0);
    EXPECT_GT(probe.value().sync_seconds, 0);
    EXPECT_TRUE(nothing_left());
}

TEST_F(DiskProbeTest, WhatTheStoreCanDoWithoutIsNoError) {
    const struct {
        Operation operation;
        bool DiskProbe::*has;
    } cases[] = {{Operation::kLock, &DiskProbe::has_locks},
                 {Operation::kReserve, &DiskProbe::has_reservation},
                 {Operation::kHardLink, &DiskProbe::has_hard_links},
                 {Operation::kMakeSymlink, &DiskProbe::has_symlinks}};
    for (const auto& without : cases) {
        fail_for_ever(without.operation, EOPNOTSUPP);
        const auto probe = probe_disk(disk_, directory_.path(), kMiB);
        ASSERT_TRUE(probe.ok()) << probe.error().what;
        EXPECT_FALSE(probe.value().*without.has);
        EXPECT_TRUE(nothing_left());
    }
}

TEST_F(DiskProbeTest, ADirectReadThatIsRefusedIsMadeThroughTheCache) {
    const auto before = probe_disk(disk_, directory_.path(), kMiB);
    if (!before.ok() || !before.value().has_direct_reads) {
        GTEST_SKIP() << "this file system has no direct reads";
    }
    disk_.arm({.operation = Operation::kRead, .os_errno = EINVAL});
    const auto probe = probe_disk(disk_, directory_.path(), kMiB);
    ASSERT_TRUE(probe.ok()) << probe.error().what;
    EXPECT_FALSE(probe.value().has_direct_reads);
}

TEST_F(DiskProbeTest, WhatNoStoreCanDoWithoutIsAnErrorAndNothingIsLeft) {
    const struct {
        Operation operation;
        int os_errno;
    } cases[] = {{Operation::kMakeDirectory, EROFS},
                 {Operation::kWrite, ENOSPC},
                 {Operation::kSync, EIO},
                 {Operation::kRead, EIO},
                 {Operation::kRename, EINVAL},
                 {Operation::kSyncDirectory, EIO}};
    for (const auto& broken : cases) {
        fail_for_ever(broken.operation, broken.os_errno);
        const auto probe = probe_disk(disk_, directory_.path(), kMiB);
        ASSERT_FALSE(probe.ok()) << static_cast<int>(broken.operation);
        EXPECT_EQ(probe.error().os_errno, broken.os_errno);
        EXPECT_THAT(probe.error().what, HasSubstr(directory_.path()));
        EXPECT_TRUE(nothing_left());
    }
}

// Flips a bit of what was written before it is read.
class ForgetfulDisk : public FaultFileSystem {
public:
    using FaultFileSystem::FaultFileSystem;
    base::Result<std::unique_ptr<File>> open(const std::string& path,
                                             const OpenOptions& options) override {
        if (options.mode == OpenMode::kRead) {
            std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
            file.seekg(1'500'000);
            const auto byte = static_cast<char>(file.get() ^ 4);
            file.seekp(1'500'000);
            file.put(byte);
        }
        return FaultFileSystem::open(path, options);
    }
};

TEST_F(DiskProbeTest, OtherBytesThanWereWrittenAreFound) {
    ForgetfulDisk disk(real_file_system());
    const auto probe = probe_disk(disk, directory_.path(), 2 * kMiB);
    ASSERT_FALSE(probe.ok());
    EXPECT_EQ(probe.error().kind, base::ErrorKind::kCorrupt);
    EXPECT_THAT(probe.error().what, HasSubstr("in the MiB at 1048576"));
    EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace holdfast::fs
