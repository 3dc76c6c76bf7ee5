#include "data/shard_files.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/shard_maker.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

using base::ErrorKind;
using testing::ElementsAre;
using testing::HasSubstr;

// A folder of empty files, and what a setting finds in it: paths without the folder's own.
class ShardFilesTest : public testing::Test {
protected:
    void touch(const std::string& name) { write_bytes(folder_ / name, ""); }
    void make_folder(const std::string& name) {
        std::filesystem::create_directories(folder_ / name);
    }
    std::vector<std::string> find(const std::vector<std::string>& names, Split split) {
        const auto files = try_find(names, split);
        EXPECT_TRUE(files.ok()) << files.error().what;
        std::vector<std::string> found;
        for (const ShardFile& file : files.ok() ? files.value() : std::vector<ShardFile>{}) {
            found.push_back(file.path.substr(folder_.path().size() + 1));
        }
        return found;
    }
    base::Result<std::vector<ShardFile>> try_find(const std::vector<std::string>& names,
                                                  Split split) {
        std::vector<std::string> sources;
        for (const std::string& name : names) {
            sources.push_back(name.empty() ? folder_.path() : folder_ / name);
        }
        return find_shard_files(fs::real_file_system(), sources, split);
    }
    void expect_refused(const std::vector<std::string>& names,
                        ErrorKind kind,
                        const std::string& words) {
        const auto files = try_find(names, Split::kTrain);
        ASSERT_FALSE(files.ok());
        EXPECT_EQ(files.error().kind, kind);
        EXPECT_THAT(files.error().what, HasSubstr(words));
        EXPECT_THAT(files.error().what, HasSubstr("data.train"));
    }

    TemporaryDirectory folder_;
};

TEST_F(ShardFilesTest, FindsTheShardsOfASplitByTheWordInTheName) {
    for (const char* name : {"train_000002.bin", "train_000001.bin", "val_000000.bin"}) {
        touch(name);
    }
    EXPECT_THAT(find({""}, Split::kTrain), ElementsAre("train_000001.bin", "train_000002.bin"));
    EXPECT_THAT(find({""}, Split::kVal), ElementsAre("val_000000.bin"));
}

TEST_F(ShardFilesTest, KnowsTheNamesOfLlmcAndNanogpt) {
    for (const char* name : {"edu_fineweb_train_000001.bin",
                             "edu_fineweb_val_000000.bin",
                             "train.bin",
                             "val.bin",
                             "TinyStories_train.bin",
                             "valid-1.bin"}) {
        touch(name);
    }
    EXPECT_THAT(find({""}, Split::kTrain),
                ElementsAre("TinyStories_train.bin", "edu_fineweb_train_000001.bin", "train.bin"));
    EXPECT_THAT(find({""}, Split::kVal),
                ElementsAre("edu_fineweb_val_000000.bin", "val.bin", "valid-1.bin"));
}

TEST_F(ShardFilesTest, LeavesOtherFilesOfAFolderAlone) {
    for (const char* name : {"train_1.bin",
                             "constraint.bin",
                             "trainer.bin",
                             "train_2.bin.new",
                             ".train_3.bin",
                             "train.txt",
                             "dataset.json"}) {
        touch(name);
    }
    EXPECT_THAT(find({""}, Split::kTrain), ElementsAre("train_1.bin"));
}

TEST_F(ShardFilesTest, TakesANamedFileWhateverItsName) {
    touch("b.tokens");
    touch("a.tokens");
    EXPECT_THAT(find({"b.tokens", "a.tokens"}, Split::kTrain), ElementsAre("b.tokens", "a.tokens"));
}

TEST_F(ShardFilesTest, SaysWhetherTheFolderWasNamed) {
    make_folder("d");
    touch("d/train_1.bin");
    touch("x.bin");
    const auto files = try_find({"d", "x.bin"}, Split::kTrain);
    ASSERT_TRUE(files.ok());
    EXPECT_TRUE(files.value()[0].from_folder);
    EXPECT_FALSE(files.value()[1].from_folder);
}

TEST_F(ShardFilesTest, ExpandsGlobsInAnyPartInTheOrderOfPaths) {
    make_folder("b");
    make_folder("a");
    for (const char* name : {"b/s1.bin", "a/s2.bin", "a/s1.bin", "a/s10.bin", "a/.s1.bin"}) {
        touch(name);
    }
    EXPECT_THAT(find({"*/s?.bin"}, Split::kTrain), ElementsAre("a/s1.bin", "a/s2.bin", "b/s1.bin"));
    EXPECT_THAT(find({"[a]/s1*.bin"}, Split::kTrain), ElementsAre("a/s1.bin", "a/s10.bin"));
    EXPECT_THAT(find({"a/*1.bin"}, Split::kTrain), ElementsAre("a/s1.bin"));
    EXPECT_THAT(find({"*/s2.bin"}, Split::kTrain), ElementsAre("a/s2.bin"));
}

TEST_F(ShardFilesTest, TakesAGlobThatMatchesFoldersAsFolders) {
    make_folder("set1");
    make_folder("set2");
    touch("set1/train.bin");
    touch("set2/train.bin");
    EXPECT_THAT(find({"set*"}, Split::kTrain), ElementsAre("set1/train.bin", "set2/train.bin"));
}

TEST_F(ShardFilesTest, TakesAnExistingNameWithGlobCharactersAsItIs) {
    touch("s[1].bin");
    touch("s1.bin");
    EXPECT_THAT(find({"s[1].bin"}, Split::kTrain), ElementsAre("s[1].bin"));
}

TEST_F(ShardFilesTest, FollowsALinkToAFolder) {
    make_folder("real");
    touch("real/train_1.bin");
    std::filesystem::create_symlink(folder_ / "real", folder_ / "link");
    EXPECT_THAT(find({"link"}, Split::kTrain), ElementsAre("link/train_1.bin"));
}

TEST_F(ShardFilesTest, RefusesAFolderWithoutTheSplitAndSaysWhatIsThere) {
    touch("shard_1.bin");
    touch("val_1.bin");
    expect_refused({""}, ErrorKind::kInvalid, "no train shard");
    expect_refused({""}, ErrorKind::kInvalid, "found shard_1.bin, val_1.bin");
    make_folder("empty");
    expect_refused({"empty"}, ErrorKind::kInvalid, "found no .bin file");
}

TEST_F(ShardFilesTest, RefusesWhatDoesNotExist) {
    expect_refused({"none"}, ErrorKind::kNotFound, "none does not exist");
    expect_refused({"none*.bin"}, ErrorKind::kNotFound, "none*.bin matches nothing");
    expect_refused({"no*/x.bin"}, ErrorKind::kNotFound, "matches nothing");
}

TEST_F(ShardFilesTest, RefusesNoSourcesAtAll) {
    expect_refused({}, ErrorKind::kInvalid, "data.train is empty");
}

TEST_F(ShardFilesTest, RefusesAFileThatIsReachedTwice) {
    touch("train_1.bin");
    expect_refused({"", "train_1.bin"}, ErrorKind::kInvalid, "are the same file");
    std::filesystem::create_hard_link(folder_ / "train_1.bin", folder_ / "train_2.bin");
    expect_refused({""}, ErrorKind::kInvalid, "are the same file");
}

TEST(NamedSources, PutsEntriesWithoutANameIntoTheFirstSet) {
    const auto sets =
        named_sources({"a.bin", "b.bin", "wiki=w/1.bin", "code=c.bin", "wiki=w2.bin"});
    ASSERT_TRUE(sets.ok());
    ASSERT_EQ(sets.value().size(), 3U);
    EXPECT_EQ(sets.value()[0].name, "");
    EXPECT_THAT(sets.value()[0].sources, ElementsAre("a.bin", "b.bin"));
    EXPECT_EQ(sets.value()[1].name, "wiki");
    EXPECT_THAT(sets.value()[1].sources, ElementsAre("w/1.bin", "w2.bin"));
    EXPECT_EQ(sets.value()[2].name, "code");
}

TEST(NamedSources, ReadsAnEqualsSignInsideAPathAsPartOfIt) {
    const auto sets = named_sources({"runs/lr=3/val.bin"});
    ASSERT_TRUE(sets.ok());
    EXPECT_EQ(sets.value()[0].name, "");
    EXPECT_THAT(sets.value()[0].sources, ElementsAre("runs/lr=3/val.bin"));
}

TEST(NamedSources, RefusesANamelessSetAfterANamedOne) {
    const auto sets = named_sources({"wiki=w.bin", "v.bin"});
    ASSERT_FALSE(sets.ok());
    EXPECT_THAT(sets.error().what, HasSubstr("\"v.bin\" has no name"));
    EXPECT_FALSE(named_sources({"wiki="}).ok());
    EXPECT_FALSE(named_sources({""}).ok());
}

}  // namespace
}  // namespace holdfast::data
