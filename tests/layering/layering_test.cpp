// The rules of the house, held against this tree; and each rule against a small house in which one
// thing is wrong, so that a rule which no longer sees anything is seen.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "layering/house.h"
#include "temporary_directory.h"

namespace holdfast::layering {
namespace {

namespace stdfs = std::filesystem;

std::string in_lines(const std::vector<std::string>& problems) {
    std::string text;
    for (const std::string& problem : problems) {
        text += problem + '\n';
    }
    return text;
}

class Layering : public testing::Test {
protected:
    void SetUp() override {
        std::vector<std::string> problems;
        rooms_ = read_rooms(root_, problems);
        ASSERT_EQ(in_lines(problems), "");
        ASSERT_GE(rooms_.size(), 2U);
    }

    stdfs::path root_ = HOLDFAST_SOURCE_DIR;
    std::vector<Room> rooms_;
};

TEST_F(Layering, TheTableHasNoCircleAndNoArrowUp) {
    EXPECT_EQ(in_lines(table_problems(rooms_)), "");
}

TEST_F(Layering, EveryFolderIsARoomOfTheTable) {
    EXPECT_EQ(in_lines(folders_without_a_row(root_, rooms_)), "");
}

TEST_F(Layering, EveryIncludeIsAnArrowOfTheTable) {
    EXPECT_EQ(in_lines(includes_without_an_arrow(root_, rooms_)), "");
}

TEST_F(Layering, TorchIsNamedOnlyWhereTheTableSaysSo) {
    EXPECT_EQ(in_lines(torch_where_it_must_not_be(root_, rooms_)), "");
}

TEST_F(Layering, OnlyTheRoomFsTouchesTheDisk) {
    EXPECT_EQ(in_lines(disk_access_outside_fs(root_)), "");
}

TEST_F(Layering, EveryBasenameIsUnique) {
    EXPECT_EQ(in_lines(shared_basenames(root_)), "");
}

TEST_F(Layering, EverySourceAndTestIsInTheBuild) {
    EXPECT_EQ(in_lines(sources_outside_the_build(root_)), "");
}

// A house of three rooms with nothing wrong.
class House : public testing::Test {
protected:
    void SetUp() override {
        write("docs/architecture.md",
              "| floor | room | owns | may include | torch |\n|---|---|---|---|---|\n"
              "| 0 | `base` | words | – | no |\n"
              "| 1 | `data` | tokens | base | loader only |\n"
              "| 2 | `train` | the loop | all below | yes |\n");
        write("src/CMakeLists.txt",
              "add_subdirectory(base)\nadd_subdirectory(data)\nadd_subdirectory(train)\n");
        write("src/base/CMakeLists.txt", "holdfast_library(NAME base SOURCES words.cpp)\n");
        write("src/base/words.h", "#pragma once\n#include <string>\n");
        write("src/base/words.cpp", "#include \"base/words.h\"\n");
        write("src/data/CMakeLists.txt", "holdfast_library(NAME data SOURCES loader.cpp)\n");
        write("src/data/loader.cpp", "#include \"base/words.h\"\n#include <ATen/ATen.h>\n");
        write("src/train/CMakeLists.txt", "holdfast_library(NAME train SOURCES loop.cpp)\n");
        write("src/train/loop.cpp", "#include \"base/words.h\"\n#include <c10/util/Half.h>\n");
        write("tests/CMakeLists.txt", "add_subdirectory(base)\n");
        write("tests/base/CMakeLists.txt", "holdfast_test(NAME base SOURCES words_test.cpp)\n");
        write("tests/base/words_test.cpp", "#include \"base/words.h\"\n");
    }

    void write(const std::string& name, const std::string& text) const {
        const stdfs::path path = directory_ / name;
        stdfs::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }

    // All problems of the house, whichever rule finds them.
    [[nodiscard]] std::string problems() const {
        std::vector<std::string> all;
        const stdfs::path root = directory_.path();
        const std::vector<Room> rooms = read_rooms(root, all);
        for (const std::vector<std::string>& found : {table_problems(rooms),
                                                      folders_without_a_row(root, rooms),
                                                      includes_without_an_arrow(root, rooms),
                                                      torch_where_it_must_not_be(root, rooms),
                                                      disk_access_outside_fs(root),
                                                      shared_basenames(root),
                                                      sources_outside_the_build(root)}) {
            all.insert(all.end(), found.begin(), found.end());
        }
        return in_lines(all);
    }

    TemporaryDirectory directory_;
};

TEST_F(House, InOrderHasNoProblem) {
    EXPECT_EQ(problems(), "");
}

TEST_F(House, AnArrowOutsideTheTableIsFound) {
    write("src/data/loader.cpp", "// why\n#include \"train/loop.h\"\n");
    write("src/train/loop.h", "#pragma once\n");
    EXPECT_EQ(problems(), "src/data/loader.cpp:2: data must not include train\n");
}

TEST_F(House, AnIncludeWithoutItsRoomIsFound) {
    write("src/base/words.cpp", "#include \"words.h\"\n");
    EXPECT_EQ(problems(), "src/base/words.cpp:1: \"words.h\" is not written room/file.h\n");
}

TEST_F(House, AHeaderThatTheBuildGeneratesHasNoRoom) {
    write("src/base/words.cpp", "#include \"generated.h\"\n");
    write("src/base/CMakeLists.txt",
          "holdfast_library(NAME base SOURCES words.cpp)\n"
          "configure_file(generated.h.in ${CMAKE_BINARY_DIR}/generated.h)\n");
    EXPECT_EQ(problems(), "");
}

TEST_F(House, AnIncludeOfNothingIsFound) {
    write("src/base/words.cpp", "#  include \"base/letters.h\"\n");
    EXPECT_EQ(problems(), "src/base/words.cpp:1: \"base/letters.h\" does not exist\n");
}

TEST_F(House, ACircleInTheTableIsFound) {
    write("docs/architecture.md",
          "| 0 | `base` | words | data | no |\n"
          "| 0 | `data` | tokens | base | yes |\n"
          "| 2 | `train` | the loop | all below | yes |\n");
    EXPECT_EQ(problems(),
              "the table has a circle through base\nthe table has a circle through data\n");
}

TEST_F(House, AnArrowUpInTheTableIsFound) {
    write("docs/architecture.md",
          "| 0 | `base` | words | – | no |\n"
          "| 1 | `data` | tokens | base train | yes |\n"
          "| 2 | `train` | the loop | base | yes |\n");
    EXPECT_EQ(problems(), "the arrow data -> train goes up\n");
}

TEST_F(House, AnUnknownRoomInTheTableIsFound) {
    write("docs/architecture.md",
          "| 0 | `base` | words | – | no |\n"
          "| 1 | `data` | tokens | base rooms | yes |\n"
          "| 2 | `train` | the loop | base | yes |\n");
    EXPECT_EQ(problems(), "the row of data names an unknown room: rooms\n");
}

TEST_F(House, ARoomWithoutARowIsFound) {
    write("src/CMakeLists.txt",
          "add_subdirectory(base)\nadd_subdirectory(data)\nadd_subdirectory(train)\n"
          "add_subdirectory(attic)\n");
    write("src/attic/CMakeLists.txt", "holdfast_library(NAME attic SOURCES box.cpp)\n");
    write("src/attic/box.cpp", "\n");
    EXPECT_EQ(problems(), "src/attic is not in the table of docs/architecture.md\n");
}

TEST_F(House, TorchInARoomWithoutItIsFound) {
    write("src/base/words.h", "#include <ATen/ATen.h>\n");
    EXPECT_EQ(problems(), "src/base/words.h:1: no torch here: ATen/ATen.h\n");
}

TEST_F(House, TorchOutsideTheOneUnitThatMayIsFound) {
    write("src/data/cursor.h", "#include <torch/torch.h>\n");
    EXPECT_EQ(problems(), "src/data/cursor.h:1: no torch here: torch/torch.h\n");
}

TEST_F(House, AFileStreamOutsideFsIsFound) {
    write("src/train/loop.cpp", "#include <fstream>\n");
    EXPECT_EQ(problems(), "src/train/loop.cpp:1: <fstream> belongs to the room fs\n");
}

TEST_F(House, ASharedBasenameIsFound) {
    write("src/train/words.h", "#pragma once\n");
    EXPECT_EQ(problems(), "the basename words is taken more than once: src/base src/train\n");
}

TEST_F(House, ATestOutsideTheBuildIsFound) {
    write("tests/base/CMakeLists.txt",
          "# words_test.cpp\nholdfast_test(NAME base SOURCES more_words_test.cpp)\n");
    write("tests/base/more_words_test.cpp", "\n");
    EXPECT_EQ(problems(),
              "tests/base/words_test.cpp is not listed in the CMakeLists.txt of its folder\n");
}

TEST_F(House, AFolderOfTestsOutsideTheBuildIsFound) {
    write("tests/CMakeLists.txt", "# add_subdirectory(base)\n");
    EXPECT_EQ(problems(), "tests/base is not added by the CMakeLists.txt above it\n");
}

}  // namespace
}  // namespace holdfast::layering
