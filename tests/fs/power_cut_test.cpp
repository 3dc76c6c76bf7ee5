#include "fs/power_cut.h"

#include <set>
#include <span>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::fs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// "name=bytes name/ ..." of all that can be reached.
std::string told(const DiskImage& image, InodeNumber number = kRootInode, std::string path = "") {
    std::string text;
    for (const auto& [name, child] : image.find(number)->entries) {
        const DiskInode& inode = *image.find(child);
        const bool is_directory = inode.type == EntryType::kDirectory;
        text += text.empty() ? "" : " ";
        text += path + name + (is_directory ? "/" : "=" + inode.bytes);
        if (is_directory && !inode.entries.empty()) {
            text += ' ' + told(image, child, path + name + '/');
        }
    }
    return text;
}

// What may be left when the disk was written back at some instant and then lives through more.
class PowerCutTest : public ::testing::Test {
protected:
    void write(const std::string& path, std::string_view text) {
        const auto file = disk_.open(path, {.mode = OpenMode::kOpenOrCreate}).value();
        ASSERT_TRUE(file->truncate(0).ok());
        ASSERT_TRUE(file->write_at(std::as_bytes(std::span(text)), 0).ok());
    }
    void sync(const std::string& path) {
        ASSERT_TRUE(disk_.open(path, {.mode = OpenMode::kReadWrite}).value()->sync().ok());
    }
    void write_back() {
        begin_ = disk_.operations().size();
        durable_ = disk_.image();
    }
    [[nodiscard]] std::set<std::string> left(RenameModel model = RenameModel::kAtomic,
                                             const CutBounds& bounds = {.exhaustive_max = 4096}) {
        PowerCut cut(durable_, model);
        for (std::size_t i = begin_; i < disk_.operations().size(); ++i) {
            cut.apply(disk_.operations()[i]);
        }
        std::set<std::string> states;
        cut.for_each_state(bounds, 1, [&](const DiskImage& image) {
            states.insert(told(image));
            return true;
        });
        return states;
    }

    SimulatedFileSystem disk_;
    DiskImage durable_;
    std::size_t begin_ = 0;
};

TEST_F(PowerCutTest, ANameMayOutliveItsBytesAndBytesTheirName) {
    write("/f", "new");
    EXPECT_THAT(left(), UnorderedElementsAre("", "f=", "f=new", std::string("f=\0\0\0", 5)));
    sync("/f");
    EXPECT_THAT(left(), UnorderedElementsAre("", "f=new"));
    ASSERT_TRUE(disk_.sync_directory("/").ok());
    EXPECT_THAT(left(), ElementsAre("f=new"));
}

TEST_F(PowerCutTest, WhatIsSyncedIsInEveryState) {
    write("/f", "old");
    write_back();
    write("/f", "new");
    EXPECT_THAT(left(), Contains("f=old"));
    sync("/f");
    EXPECT_THAT(left(), ElementsAre("f=new"));
}

TEST_F(PowerCutTest, WritesTearAtSectors) {
    write("/f", std::string(1024, 'a'));
    write_back();
    const auto file = disk_.open("/f", {.mode = OpenMode::kReadWrite}).value();
    const std::string text(1024, 'b');
    ASSERT_TRUE(file->write_at(std::as_bytes(std::span(text)), 0).ok());
    const std::string a(512, 'a');
    const std::string b(512, 'b');
    EXPECT_THAT(left(),
                UnorderedElementsAre("f=" + a + a, "f=" + a + b, "f=" + b + a, "f=" + b + b));
}

TEST_F(PowerCutTest, ARenameIsTheOldNameOrTheNewOne) {
    ASSERT_TRUE(disk_.make_directory("/from").ok());
    ASSERT_TRUE(disk_.make_directory("/to").ok());
    ASSERT_TRUE(disk_.make_directory("/from/x").ok());
    write_back();
    ASSERT_TRUE(disk_.rename("/from/x", "/to/x", RenameMode::kNoReplace).ok());
    const std::string before = "from/ from/x/ to/";
    const std::string after = "from/ to/ to/x/";
    const std::string both = "from/ from/x/ to/ to/x/";
    EXPECT_THAT(left(), UnorderedElementsAre(before, after));
    EXPECT_THAT(left(RenameModel::kTwoNames), UnorderedElementsAre(before, after, both));
    ASSERT_TRUE(disk_.sync_directory("/from").ok());
    EXPECT_THAT(left(), UnorderedElementsAre(before, after));
    ASSERT_TRUE(disk_.sync_directory("/to").ok());
    EXPECT_THAT(left(), ElementsAre(after));
}

TEST_F(PowerCutTest, TheNewNameAloneLeavesBothWhereDirectoriesAreWrittenApart) {
    ASSERT_TRUE(disk_.make_directory("/from").ok());
    ASSERT_TRUE(disk_.make_directory("/to").ok());
    ASSERT_TRUE(disk_.make_directory("/from/x").ok());
    write_back();
    ASSERT_TRUE(disk_.rename("/from/x", "/to/x", RenameMode::kNoReplace).ok());
    ASSERT_TRUE(disk_.sync_directory("/to").ok());
    EXPECT_THAT(left(RenameModel::kTwoNames),
                UnorderedElementsAre("from/ to/ to/x/", "from/ from/x/ to/ to/x/"));
    ASSERT_TRUE(disk_.sync_directory("/from").ok());
    EXPECT_THAT(left(RenameModel::kTwoNames), ElementsAre("from/ to/ to/x/"));
}

TEST_F(PowerCutTest, NamesReorderAlsoAcrossDirectories) {
    ASSERT_TRUE(disk_.make_directory("/a").ok());
    ASSERT_TRUE(disk_.make_directory("/b").ok());
    write("/a/f", "x");
    write_back();
    ASSERT_TRUE(disk_.hard_link("/a/f", "/b/f").ok());
    ASSERT_TRUE(disk_.remove_file("/a/f").ok());
    EXPECT_THAT(left(),
                UnorderedElementsAre("a/ a/f=x b/", "a/ a/f=x b/ b/f=x", "a/ b/ b/f=x", "a/ b/"));
}

TEST_F(PowerCutTest, ARemovalDoesNotOutliveTheRenameBeforeIt) {
    ASSERT_TRUE(disk_.make_directory("/trash").ok());
    ASSERT_TRUE(disk_.make_directory("/x").ok());
    write("/x/f", "1");
    write_back();
    ASSERT_TRUE(disk_.rename("/x", "/trash/x", RenameMode::kNoReplace).ok());
    ASSERT_TRUE(disk_.remove_file("/trash/x/f").ok());
    ASSERT_TRUE(disk_.remove_directory("/trash/x").ok());
    EXPECT_THAT(left(),
                UnorderedElementsAre("trash/ x/ x/f=1",
                                     "trash/ x/",
                                     "trash/ trash/x/ trash/x/f=1",
                                     "trash/ trash/x/",
                                     "trash/"));
}

TEST_F(PowerCutTest, ARenameTakesTheMakingOfItsOldNameAlong) {
    ASSERT_TRUE(disk_.make_directory("/to").ok());
    write_back();
    ASSERT_TRUE(disk_.make_directory("/x").ok());
    ASSERT_TRUE(disk_.rename("/x", "/to/x", RenameMode::kNoReplace).ok());
    EXPECT_THAT(left(), UnorderedElementsAre("to/", "to/ x/", "to/ to/x/"));
    ASSERT_TRUE(disk_.sync_directory("/to").ok());
    EXPECT_THAT(left(), ElementsAre("to/ to/x/"));
}

TEST_F(PowerCutTest, SamplesStayAmongTheStates) {
    for (const std::string name : {"a", "b", "c", "d", "e"}) {
        write('/' + name, "1");
        ASSERT_TRUE(disk_.rename('/' + name, "/new" + name, RenameMode::kReplace).ok());
    }
    const std::set<std::string> all = left(RenameModel::kAtomic, {.exhaustive_max = 100'000'000});
    const std::set<std::string> some =
        left(RenameModel::kAtomic, {.exhaustive_max = 10, .pairs_max = 10, .samples = 50});
    EXPECT_GT(some.size(), 40U);
    EXPECT_TRUE(std::includes(all.begin(), all.end(), some.begin(), some.end()));
}

TEST_F(PowerCutTest, TheDigestTellsContentsApartAndNotWhatIsDrawnAtRandom) {
    write("/0123456789abcdef", "id fedcba9876543210, step 250\n");
    const std::uint64_t one = disk_.image().digest();
    ASSERT_TRUE(disk_.rename("/0123456789abcdef", "/0123456789abcdee", RenameMode::kReplace).ok());
    write("/0123456789abcdee", "id fedcba9876543211, step 250\n");
    EXPECT_EQ(disk_.image().digest(), one);
    write("/0123456789abcdee", "id fedcba9876543211, step 500\n");
    const std::uint64_t other = disk_.image().digest();
    EXPECT_NE(other, one);
    ASSERT_TRUE(disk_.make_symlink("step_250", "/latest").ok());
    const std::uint64_t linked = disk_.image().digest();
    EXPECT_NE(linked, other);
    ASSERT_TRUE(disk_.remove_file("/latest").ok());
    ASSERT_TRUE(disk_.make_symlink("step_500", "/latest").ok());
    EXPECT_NE(disk_.image().digest(), linked);
}

}  // namespace
}  // namespace holdfast::fs
