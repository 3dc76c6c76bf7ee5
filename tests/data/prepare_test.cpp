#include "data/prepare.h"

#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"
#include "tokenizer/tokenizer.h"

namespace holdfast::data {
namespace {

using base::ErrorKind;

class PrepareTest : public testing::Test {
protected:
    void write(const std::string& name, std::string_view bytes) {
        ASSERT_TRUE(fs::replace_file(files_, directory_ / name, bytes).ok());
    }
    std::string bytes_of(const std::string& path) {
        const auto bytes = fs::read_file(files_, path, std::uint64_t{1} << 30U);
        EXPECT_TRUE(bytes.ok()) << path;
        return bytes.ok() ? bytes.value() : "";
    }
    PrepareOptions options(const std::string& input) {
        PrepareOptions made;
        made.inputs = {directory_ / input};
        made.out_dir = directory_ / "out";
        made.threads = 2;
        made.val_fraction = 0.1;
        return made;
    }
    DatasetSidecar prepared(const PrepareOptions& given) {
        const auto summary = prepare(files_, given);
        if (!summary.ok()) {
            ADD_FAILURE() << summary.error().what;
            return {};
        }
        EXPECT_EQ(read_sidecar(files_, given.out_dir).value(), summary.value().dataset);
        EXPECT_FALSE(fs::exists(files_, given.out_dir + ".preparing").value());
        return summary.value().dataset;
    }
    base::Error error_of(const PrepareOptions& given) {
        const auto summary = prepare(files_, given);
        EXPECT_FALSE(summary.ok());
        EXPECT_FALSE(fs::exists(files_, given.out_dir + ".preparing").value());
        return summary.ok() ? base::Error{} : summary.error();
    }
    // All tokens of a split; checks the shards' sums on the way.
    std::vector<std::uint16_t> tokens_of(const std::string& folder, const DatasetSplit& split) {
        std::vector<std::uint16_t> tokens;
        for (const ShardSummary& shard : split.shards) {
            const std::string bytes = bytes_of(fs::join(folder, shard.name));
            EXPECT_EQ(base::checksum64(bytes), shard.checksum);
            EXPECT_EQ(bytes.size(), shard.bytes);
            const std::size_t before = tokens.size();
            tokens.resize(before + shard.tokens);
            std::memcpy(tokens.data() + before, bytes.data() + 1024, 2 * shard.tokens);
        }
        EXPECT_EQ(tokens.size(), split.tokens);
        return tokens;
    }
    std::string folder_bytes(const std::string& folder) {
        std::string all;
        const auto names = files_.list(folder);
        for (const std::string& name : names.value()) {
            all += name + '\n' + bytes_of(fs::join(folder, name));
        }
        return all;
    }
    // Lines of words, some of them no UTF-8.
    static std::string prose(std::size_t lines) {
        std::string text;
        for (std::size_t line = 0; line < lines; ++line) {
            text +=
                "Line " + std::to_string(line * line) + ": hold fast, it's n\xC3\xB6t \xFF over";
            text += line % 7 == 0 ? "\n\n  " : "\n";
        }
        return text;
    }
    void write_jsonl(const std::string& name, std::size_t documents) {
        std::string lines;
        for (std::size_t document = 0; document < documents; ++document) {
            lines += "{\"text\": \"document number " + std::to_string(document) + "\"}\n";
        }
        write(name, lines);
    }

    const TemporaryDirectory directory_;
    fs::FileSystem& files_ = fs::real_file_system();
};

TEST_F(PrepareTest, GivesTheTokensOfTheWholeTextHoweverItIsCut) {
    const std::string text = prose(40'000);  // several blocks
    write("in.txt", text);
    PrepareOptions given = options("in.txt");
    given.val_fraction = 0;
    const DatasetSidecar sidecar = prepared(given);
    const auto gpt2 = tokenizer::make_tokenizer("gpt2");
    std::vector<std::uint32_t> ids = {50256};
    gpt2.value()->encode_ordinary(text, ids);
    const std::vector<std::uint16_t> tokens = tokens_of(given.out_dir, sidecar.train);
    EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), ids.begin(), ids.end()));
    EXPECT_EQ(sidecar.train.text_bytes, text.size());
    EXPECT_EQ(sidecar.split_rule, SplitRule::kAllTrain);
    EXPECT_TRUE(sidecar.val.shards.empty());
}

TEST_F(PrepareTest, TheNumberOfThreadsChangesNothing) {
    write("a.txt", prose(20'000));
    write_jsonl("b.jsonl", 3000);
    std::string first;
    for (const std::uint32_t threads : {1U, 2U, 5U}) {
        PrepareOptions given = options("a.txt");
        given.inputs.push_back(directory_ / "b.jsonl");
        given.out_dir += std::to_string(threads);
        given.threads = threads;
        given.shard_tokens_max = 70'001;
        prepared(given);
        const std::string bytes = folder_bytes(given.out_dir);
        first = first.empty() ? bytes : first;
        EXPECT_TRUE(bytes == first) << threads;
    }
}

TEST_F(PrepareTest, PutsEndOfTextBeforeEachDocument) {
    write("x.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"c\"}\n");
    PrepareOptions given = options("x.jsonl");
    given.tokenizer = "bytes";
    given.val_fraction = 0;
    const DatasetSidecar sidecar = prepared(given);
    EXPECT_EQ(tokens_of(given.out_dir, sidecar.train),
              (std::vector<std::uint16_t>{256, 'a', 'b', 256, 'c'}));
    EXPECT_EQ(sidecar.train.documents, 2U);
    EXPECT_EQ(sidecar.end_of_text, 256U);
    EXPECT_EQ(sidecar.vocab_size, 257U);
}

TEST_F(PrepareTest, FewDocumentsGiveTheirTailsFromALineBreakOn) {
    const std::string text = prose(1000);
    write("in.txt", text);
    PrepareOptions given = options("in.txt");
    given.tokenizer = "bytes";
    const DatasetSidecar sidecar = prepared(given);
    EXPECT_EQ(sidecar.split_rule, SplitRule::kTails);
    const auto train = tokens_of(given.out_dir, sidecar.train);
    const auto val = tokens_of(given.out_dir, sidecar.val);
    std::string joined(train.begin() + 1, train.end());
    EXPECT_EQ(joined.back(), '\n');
    joined.append(val.begin() + 1, val.end());
    EXPECT_EQ(joined, text);
    EXPECT_EQ(train[0], 256);
    EXPECT_EQ(val[0], 256);
    EXPECT_NEAR(
        static_cast<double>(sidecar.val.text_bytes), 0.1 * static_cast<double>(text.size()), 60.0);
    EXPECT_EQ(sidecar.train.text_bytes + sidecar.val.text_bytes, text.size());
}

TEST_F(PrepareTest, ManyDocumentsAreHeldOutWhole) {
    write_jsonl("x.jsonl", 200);
    PrepareOptions given = options("x.jsonl");
    given.tokenizer = "bytes";
    const DatasetSidecar sidecar = prepared(given);
    EXPECT_EQ(sidecar.split_rule, SplitRule::kDocuments);
    EXPECT_EQ(sidecar.train.documents, 180U);
    EXPECT_EQ(sidecar.val.documents, 20U);
}

TEST_F(PrepareTest, TheSecondCallDoesNothing) {
    write("in.txt", prose(100));
    prepared(options("in.txt"));
    const auto before = std::filesystem::last_write_time(directory_ / "out/dataset.json");
    const auto again = prepare(files_, options("in.txt"));
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again.value().already_prepared);
    EXPECT_EQ(std::filesystem::last_write_time(directory_ / "out/dataset.json"), before);
}

TEST_F(PrepareTest, AnotherDatasetIsReplacedOnlyWhenAskedTo) {
    write("in.txt", prose(100));
    prepared(options("in.txt"));
    const std::string before = folder_bytes(directory_ / "out");
    write("in.txt", prose(100) + "more");
    PrepareOptions given = options("in.txt");
    const base::Error error = error_of(given);
    EXPECT_EQ(error.kind, ErrorKind::kExists);
    EXPECT_EQ(
        error.what,
        given.out_dir +
            " was prepared from other input; give another folder, or --overwrite to replace it");
    EXPECT_EQ(folder_bytes(directory_ / "out"), before);
    given.overwrite = true;
    EXPECT_FALSE(prepare(files_, given).value().already_prepared);
    EXPECT_FALSE(fs::exists(files_, given.out_dir + ".replaced").value());
    EXPECT_NE(folder_bytes(directory_ / "out"), before);
    given.overwrite = false;
    given.tokenizer = "bytes";
    EXPECT_NE(error_of(given).what.find("with the tokenizer gpt2, not bytes"), std::string::npos);
}

TEST_F(PrepareTest, AForeignFolderIsNeverTouched) {
    write("in.txt", prose(10));
    ASSERT_TRUE(files_.make_directory(directory_ / "out").ok());
    write("out/thesis.txt", "years of work");
    PrepareOptions given = options("in.txt");
    given.overwrite = true;
    EXPECT_EQ(error_of(given).kind, ErrorKind::kExists);
    EXPECT_EQ(bytes_of(directory_ / "out/thesis.txt"), "years of work");
}

TEST_F(PrepareTest, AnEmptyFolderIsFilled) {
    write("in.txt", prose(10));
    ASSERT_TRUE(files_.make_directory(directory_ / "out").ok());
    PrepareOptions given = options("in.txt");
    given.out_dir += "/";
    ASSERT_TRUE(prepare(files_, given).ok());
    EXPECT_TRUE(read_sidecar(files_, directory_ / "out").ok());
}

TEST_F(PrepareTest, AMissingShardIsNoticed) {
    write("in.txt", prose(100));
    prepared(options("in.txt"));
    ASSERT_TRUE(files_.remove_file(directory_ / "out/val_000000.bin").ok());
    EXPECT_EQ(error_of(options("in.txt")).kind, ErrorKind::kCorrupt);
}

TEST_F(PrepareTest, WhatIsWrongIsOneLineAndChangesNothing) {
    write("in.txt", prose(10));
    write("empty.txt", "");
    write("one.txt", "x");
    write("bad.jsonl", "{\"text\": \"a\"}\n{\"text\"}\n");
    const auto expect_error = [&](const PrepareOptions& given, std::string_view part) {
        const base::Error error = error_of(given);
        EXPECT_NE(error.what.find(part), std::string::npos) << error.what;
        EXPECT_EQ(error.what.find('\n'), std::string::npos);
        EXPECT_FALSE(fs::exists(files_, directory_ / "out").value());
    };
    PrepareOptions given = options("in.txt");
    given.val_fraction = 0.6;
    expect_error(given, "val_fraction is 0.6; it must be 0 or from 1e-06 to 0.5");
    given = options("in.txt");
    given.shard_tokens_max = 0;
    expect_error(given, "shard_tokens_max is 0");
    given = options("in.txt");
    given.tokenizer = "gpt5";
    expect_error(given, "there is no tokenizer called \"gpt5\"");
    given = options("in.txt");
    given.inputs.clear();
    expect_error(given, "no input was given");
    expect_error(options("no.txt"), "no.txt");
    expect_error(options("empty.txt"), "there is no text in the input");
    expect_error(options("one.txt"), "1 bytes in 1 documents are too little");
    expect_error(options("bad.jsonl"), "bad.jsonl:2: not valid JSON");
}

TEST_F(PrepareTest, AStretchWithoutWhiteSpaceIsBounded) {
    write("in.txt", "some text first " + std::string(kUncutBytesMax + 300'000, 'x') + " end");
    PrepareOptions given = options("in.txt");
    given.val_fraction = 0;
    const base::Error error = error_of(given);
    EXPECT_EQ(error.kind, ErrorKind::kInvalid);
    EXPECT_NE(error.what.find("of text without white space"), std::string::npos) << error.what;
}

TEST_F(PrepareTest, TellsItsProgressToTheEnd) {
    const std::string text = prose(40'000);
    write("in.txt", text);
    PrepareOptions given = options("in.txt");
    std::vector<PrepareProgress> seen;
    given.on_progress = [&](const PrepareProgress& progress) { seen.push_back(progress); };
    const DatasetSidecar sidecar = prepared(given);
    ASSERT_GT(seen.size(), 3U);
    EXPECT_LT(seen.front().input_bytes_done, text.size());
    EXPECT_EQ(seen.back().input_bytes_done, text.size());
    EXPECT_EQ(seen.back().input_bytes_total, text.size());
    EXPECT_EQ(seen.back().tokens, sidecar.train.tokens + sidecar.val.tokens);
}

}  // namespace
}  // namespace holdfast::data
