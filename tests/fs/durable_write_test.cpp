#include "fs/durable_write.h"

#include <gtest/gtest.h>

#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::fs {
namespace {

using base::ErrorKind;

TEST(DurableWrite, ReplacesAFileWhole) {
    const TemporaryDirectory directory;
    FileSystem& files = real_file_system();
    ASSERT_TRUE(replace_file(files, directory / "x", "one").ok());
    ASSERT_TRUE(replace_file(files, directory / "x", "two, longer").ok());
    EXPECT_EQ(read_file(files, directory / "x", 100).value(), "two, longer");
    EXPECT_EQ(files.list(directory.path()).value(), std::vector<std::string>{"x"});
}

TEST(DurableWrite, ALeftoverTemporaryDoesNotStopTheNextOne) {
    const TemporaryDirectory directory;
    FileSystem& files = real_file_system();
    ASSERT_TRUE(replace_file(files, directory / "x.new", "left over").ok());
    EXPECT_TRUE(replace_file(files, directory / "x", "new").ok());
}

TEST(DurableWrite, SymlinksAreFollowedToWhatTheyLeadTo) {
    const TemporaryDirectory directory;
    FileSystem& files = real_file_system();
    const std::string plain = directory / "plain";
    EXPECT_EQ(follow_symlinks(files, plain).value(), plain) << "nothing is there";
    ASSERT_TRUE(files.make_symlink("plain", directory / "one").ok());
    ASSERT_TRUE(files.make_symlink(directory / "one", directory / "two").ok());
    EXPECT_EQ(follow_symlinks(files, directory / "two").value(), plain);
    ASSERT_TRUE(replace_file(files, plain, "x").ok());
    EXPECT_EQ(follow_symlinks(files, directory / "two").value(), plain);
    ASSERT_TRUE(files.make_symlink("loop", directory / "loop").ok());
    EXPECT_EQ(follow_symlinks(files, directory / "loop").error().kind, ErrorKind::kInvalid);
}

TEST(DurableWrite, AnOversizedFileIsRefusedBeforeItIsRead) {
    const TemporaryDirectory directory;
    FileSystem& files = real_file_system();
    ASSERT_TRUE(replace_file(files, directory / "x", "12345").ok());
    EXPECT_EQ(read_file(files, directory / "x", 4).error().kind, ErrorKind::kInvalid);
}

TEST(DurableWrite, AShortFileIsDamageNamedWithItsPlace) {
    const TemporaryDirectory directory;
    FileSystem& files = real_file_system();
    ASSERT_TRUE(replace_file(files, directory / "x", "12345").ok());
    auto file = files.open(directory / "x", OpenOptions{});
    ASSERT_TRUE(file.ok());
    std::string buffer(4, '\0');
    const base::Status read =
        read_exactly(*file.value(), std::as_writable_bytes(std::span(buffer)), 3, "x");
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
    EXPECT_EQ(read.error().what, "x ends at byte 5, 2 bytes were expected there");
}

}  // namespace
}  // namespace holdfast::fs
