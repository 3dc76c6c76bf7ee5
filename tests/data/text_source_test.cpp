#include "data/text_source.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

using base::ErrorKind;

class TextSourceTest : public testing::Test {
protected:
    void write(const std::string& name, std::string_view bytes) {
        const std::string path = directory_ / name;
        ASSERT_TRUE(fs::make_directories(files_, fs::parent_of(path)).ok());
        ASSERT_TRUE(fs::replace_file(files_, path, bytes).ok());
    }

    // "place=text" of every document; the last entry is the error when there is one.
    std::vector<std::string> documents_of(const std::vector<std::string>& inputs) {
        std::vector<std::string> found;
        auto source = TextSource::open(files_, inputs);
        if (!source.ok()) {
            return {"error: " + source.error().what};
        }
        while (true) {
            const auto document = source.value().next();
            if (!document.ok()) {
                found.push_back("error: " + document.error().what);
                return found;
            }
            if (!document.value().has_value()) {
                EXPECT_EQ(source.value().input_bytes_done(), source.value().input_bytes_total());
                return found;
            }
            std::string text;
            while (true) {
                const auto read = source.value().read(3, text);
                EXPECT_TRUE(read.ok());
                if (read.value() == 0) {
                    break;
                }
            }
            EXPECT_EQ(text.size(), document.value()->bytes);
            found.push_back(document.value()->place.substr(directory_.path().size() + 1) + "=" +
                            text);
        }
    }

    const TemporaryDirectory directory_;
    fs::FileSystem& files_ = fs::real_file_system();
};

TEST_F(TextSourceTest, TakesAFolderSortedAndInDepth) {
    write("in/b.txt", "bee");
    write("in/a/z.txt", "zed");
    write("in/a/c.md", "see");
    write("in/.hidden", "no");
    write("in/.git/x", "no");
    write("in/empty.txt", "");
    EXPECT_EQ(documents_of({directory_ / "in"}),
              (std::vector<std::string>{"in/a/c.md=see", "in/a/z.txt=zed", "in/b.txt=bee"}));
}

TEST_F(TextSourceTest, FollowsLinksToFilesButNotToFoldersInsideAFolder) {
    write("in/a.txt", "a");
    write("other/b.txt", "b");
    std::filesystem::create_symlink("../other/b.txt", directory_ / "in/link.txt");
    std::filesystem::create_symlink("..", directory_ / "in/loop");
    EXPECT_EQ(documents_of({directory_ / "in"}),
              (std::vector<std::string>{"in/a.txt=a", "in/link.txt=b"}));
    EXPECT_EQ(documents_of({directory_ / "in/loop/other"}),
              (std::vector<std::string>{"in/loop/other/b.txt=b"}));
}

TEST_F(TextSourceTest, KeepsTheOrderOfTheInputs) {
    write("b", "2");
    write("a", "1");
    EXPECT_EQ(documents_of({directory_ / "b", directory_ / "a"}),
              (std::vector<std::string>{"b=2", "a=1"}));
}

TEST_F(TextSourceTest, TakesTheTextOfEachLineOfJsonl) {
    write("x.jsonl",
          "\xEF\xBB\xBF{\"text\": \"one\\n\\u00e9\", \"id\": [1, {}]}\r\n\n  \n{\"text\": \"\"}\n"
          "{\"meta\": {\"text\": 5}, \"text\": \"two\"}");
    EXPECT_EQ(documents_of({directory_ / "x.jsonl"}),
              (std::vector<std::string>{"x.jsonl:1=one\n\xC3\xA9", "x.jsonl:5=two"}));
}

TEST_F(TextSourceTest, ABadLineIsNamedWithFileAndNumber) {
    const std::string like = "; each line must be like {\"text\": \"...\"}";
    const std::string path = directory_ / "x.jsonl";
    const auto error_of = [&](const std::string& line) {
        write("x.jsonl", "{\"text\":\"ok\"}\n" + line + "\n");
        return documents_of({path}).back();
    };
    EXPECT_EQ(error_of("{\"text\": }"),
              "error: " + path + ":2: not valid JSON at byte 10 of the line" + like);
    EXPECT_EQ(error_of("[1]"), "error: " + path + ":2: not a JSON object" + like);
    EXPECT_EQ(error_of("{\"txt\": \"\"}"),
              "error: " + path + ":2: there is no \"text\" that is a string" + like);
    EXPECT_EQ(error_of("{\"text\": 5}"),
              "error: " + path + ":2: there is no \"text\" that is a string" + like);
    EXPECT_EQ(error_of("{\"text\": \"\xFF\"}"),
              "error: " + path + ":2: not valid JSON at byte 11 of the line" + like);
    EXPECT_EQ(error_of("{\"text\": \"a\", \"n\": 1e999}"),
              "error: " + path + ":2: not valid JSON" + like);
}

TEST_F(TextSourceTest, ALineLongerThanAReadIsWhole) {
    const std::string text(700'000, 'x');
    write("x.jsonl", "{\"text\":\"" + text + "\"}\n{\"text\":\"" + text + "y\"}");
    EXPECT_EQ(documents_of({directory_ / "x.jsonl"}),
              (std::vector<std::string>{"x.jsonl:1=" + text, "x.jsonl:2=" + text + "y"}));
}

TEST_F(TextSourceTest, WhatIsNotTextIsRefused) {
    write("x.gz", std::string("\x1F\x8B\x08\x00\x00", 5));
    EXPECT_EQ(
        documents_of({directory_ / "x.gz"}).back(),
        "error: " + (directory_ / "x.gz") +
            " is not text: byte 3 is zero; unpack it if it is compressed, save it as UTF-8 if "
            "it is UTF-16, or leave it out");
}

TEST_F(TextSourceTest, WhatIsNotThereIsTold) {
    EXPECT_EQ(TextSource::open(files_, {directory_ / "no"}).error().kind, ErrorKind::kNotFound);
    ASSERT_TRUE(files_.make_directory(directory_ / "in").ok());
    EXPECT_EQ(documents_of({directory_ / "in"}).back(),
              "error: no files in the folder " + (directory_ / "in"));
}

TEST_F(TextSourceTest, NextLeavesOutWhatWasNotRead) {
    write("a", "aaaa");
    write("b", "bbbb");
    auto source = TextSource::open(files_, {directory_ / "a", directory_ / "b"});
    ASSERT_TRUE(source.ok());
    std::string text;
    ASSERT_TRUE(source.value().next().ok());
    ASSERT_TRUE(source.value().read(1, text).ok());
    ASSERT_TRUE(source.value().next().ok());
    ASSERT_TRUE(source.value().read_at(2, 2, text).ok());
    ASSERT_TRUE(source.value().read(2, text).ok());
    EXPECT_EQ(text, "abbbb");
}

TEST_F(TextSourceTest, AFileThatBecameShorterIsTold) {
    write("a", "aaaa");
    auto source = TextSource::open(files_, {directory_ / "a"});
    ASSERT_TRUE(source.ok());
    ASSERT_TRUE(source.value().next().ok());
    write("b", "");
    std::filesystem::resize_file(directory_ / "a", 2);
    std::string text;
    EXPECT_EQ(source.value().read(4, text).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace holdfast::data
