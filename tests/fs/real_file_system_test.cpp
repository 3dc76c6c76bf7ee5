#include "fs/real_file_system.h"

#include <gtest/gtest.h>

#include "fs/durable_write.h"
#include "temporary_directory.h"

namespace holdfast::fs {
namespace {

using base::ErrorKind;

class RealFileSystemTest : public testing::Test {
protected:
    void put(const std::string& name, std::string_view text) {
        ASSERT_TRUE(replace_file(files_, directory_ / name, text).ok());
    }
    TemporaryDirectory directory_;
    FileSystem& files_ = real_file_system();
};

TEST_F(RealFileSystemTest, RenameWithoutReplaceKeepsATakenName) {
    put("a", "a");
    put("b", "b");
    EXPECT_EQ(
        files_.rename(directory_ / "a", directory_ / "b", RenameMode::kNoReplace).error().kind,
        ErrorKind::kExists);
    EXPECT_TRUE(files_.rename(directory_ / "a", directory_ / "c", RenameMode::kNoReplace).ok());
    EXPECT_TRUE(files_.rename(directory_ / "c", directory_ / "b", RenameMode::kReplace).ok());
    EXPECT_EQ(read_file(files_, directory_ / "b", 9).value(), "a");
}

TEST_F(RealFileSystemTest, ARefusedRenameLeavesNothingBehind) {
    ASSERT_TRUE(make_directories(files_, directory_ / "a/b").ok());
    const auto into_itself =
        files_.rename(directory_ / "a", directory_ / "a/b/c", RenameMode::kNoReplace);
    EXPECT_FALSE(into_itself.ok());
    EXPECT_FALSE(exists(files_, directory_ / "a/b/c").value());
}

TEST_F(RealFileSystemTest, ANewFileMustBeNew) {
    put("a", "a");
    EXPECT_EQ(files_.open(directory_ / "a", {.mode = OpenMode::kCreateNew}).error().kind,
              ErrorKind::kExists);
}

TEST_F(RealFileSystemTest, AMissingFileIsNotFoundByName) {
    const auto opened = files_.open(directory_ / "no", OpenOptions{});
    EXPECT_EQ(opened.error().kind, ErrorKind::kNotFound);
    EXPECT_NE(opened.error().what.find(directory_ / "no"), std::string::npos);
}

TEST_F(RealFileSystemTest, AHardLinkIsTheSameInode) {
    put("a", "a");
    ASSERT_TRUE(files_.hard_link(directory_ / "a", directory_ / "b").ok());
    EXPECT_EQ(files_.status(directory_ / "a").value().inode,
              files_.status(directory_ / "b").value().inode);
    EXPECT_EQ(files_.status(directory_ / "b").value().link_count, 2U);
}

TEST_F(RealFileSystemTest, ASymlinkIsToldAsOne) {
    ASSERT_TRUE(files_.make_symlink("nowhere", directory_ / "s").ok());
    EXPECT_EQ(files_.status(directory_ / "s").value().type, EntryType::kSymlink);
    EXPECT_EQ(files_.read_symlink(directory_ / "s").value(), "nowhere");
    EXPECT_TRUE(exists(files_, directory_ / "s").value());
}

TEST_F(RealFileSystemTest, ASecondLockOfAnotherDescriptionIsBusy) {
    put("lock", "");
    auto first = files_.open(directory_ / "lock", {.mode = OpenMode::kReadWrite});
    auto second = files_.open(directory_ / "lock", {.mode = OpenMode::kReadWrite});
    ASSERT_TRUE(first.value()->lock_exclusive().ok());
    EXPECT_EQ(second.value()->lock_exclusive().error().kind, ErrorKind::kBusy);
    ASSERT_TRUE(first.value()->close().ok());
    EXPECT_TRUE(second.value()->lock_exclusive().ok());
}

TEST_F(RealFileSystemTest, DirectoriesAreMadeToAnyDepthAndAgain) {
    EXPECT_TRUE(make_directories(files_, directory_ / "a/b/c").ok());
    EXPECT_TRUE(make_directories(files_, directory_ / "a/b/c").ok());
    put("file", "");
    EXPECT_FALSE(make_directories(files_, directory_ / "file").ok());
}

TEST_F(RealFileSystemTest, AMappingHoldsTheBytesOfTheFile) {
    put("a", "mapped");
    put("empty", "");
    const auto mapping = files_.map(directory_ / "a");
    ASSERT_TRUE(mapping.ok());
    EXPECT_EQ(mapping.value()->bytes().size(), 6U);
    EXPECT_EQ(static_cast<char>(mapping.value()->bytes()[0]), 'm');
    EXPECT_TRUE(files_.map(directory_ / "empty").value()->bytes().empty());
    EXPECT_EQ(files_.map(directory_.path()).error().kind, ErrorKind::kInvalid);
}

TEST(Paths, JoinAndSplit) {
    EXPECT_EQ(join("a", "b"), "a/b");
    EXPECT_EQ(join("a/", "b"), "a/b");
    EXPECT_EQ(join("a", "/b"), "/b");
    EXPECT_EQ(join("", "b"), "b");
    EXPECT_EQ(parent_of("a/b/"), "a");
    EXPECT_EQ(parent_of("a"), ".");
    EXPECT_EQ(parent_of("/a"), "/");
    EXPECT_EQ(name_of("a/b/"), "b");
}

}  // namespace
}  // namespace holdfast::fs
