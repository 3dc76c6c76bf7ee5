#include "data/batch_loader.h"

#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "data/batch_hash.h"
#include "data/gated_file_system.h"
#include "data/shard_maker.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

using base::Result;

constexpr std::int64_t kWindowTokens = 4;
constexpr std::int64_t kWindows = 23;  // 7 + 16: prime, so that few batches divide it

// What a run would log of one batch.
struct Seen {
    std::uint64_t batch_hash = 0;
    std::vector<std::int32_t> first_tokens;  // of each sequence: tells the window
    Cursor begin;
    Cursor end;
    bool operator==(const Seen&) const = default;
};

class BatchLoaderTest : public testing::Test {
protected:
    BatchLoaderTest() {
        write_llmc_shard(folder_ / "train_1.bin", counting_tokens(0, 7 * kWindowTokens + 2));
        write_llmc_shard(folder_ / "train_2.bin", counting_tokens(1000, 16 * kWindowTokens + 4));
        set_ = std::make_unique<TokenSet>(
            TokenSet::open(fs::real_file_system(), {folder_.path()}, Split::kTrain).value());
    }
    static BatchLoaderOptions options(std::int64_t sequences, std::int64_t prefetch_batches) {
        return BatchLoaderOptions{.seed = 77,
                                  .sequences = sequences,
                                  .slice = {},
                                  .vocab_size = 2000,
                                  .prefetch_batches = prefetch_batches};
    }
    std::unique_ptr<BatchLoader> open(const BatchLoaderOptions& options,
                                      const Cursor& cursor = {}) {
        auto loader = BatchLoader::open(
            *set_, WindowMap::make(*set_, kWindowTokens).value(), options, cursor);
        EXPECT_TRUE(loader.ok()) << loader.error().what;
        return std::move(loader).value();
    }
    static Seen see(const Batch& batch) {
        Seen seen{batch.batch_hash, {}, batch.begin, batch.end};
        for (std::int64_t s = 0; s < batch.slice.count; ++s) {
            seen.first_tokens.push_back(
                batch.tokens_ST[static_cast<std::size_t>(s * kWindowTokens)]);
        }
        return seen;
    }
    static Seen take(BatchLoader& loader) {
        const Result<const Batch*> batch = loader.next();
        EXPECT_TRUE(batch.ok()) << batch.error().what;
        const Seen seen = see(*batch.value());
        loader.consume();
        EXPECT_EQ(loader.cursor(), seen.end);
        return seen;
    }
    std::vector<Seen> stream(std::int64_t sequences, std::int64_t prefetch, std::size_t batches) {
        const auto loader = open(options(sequences, prefetch));
        std::vector<Seen> seen;
        while (seen.size() < batches) {
            seen.push_back(take(*loader));
        }
        return seen;
    }

    TemporaryDirectory folder_;
    std::unique_ptr<TokenSet> set_;
};

TEST_F(BatchLoaderTest, LaysOutInputsAndTheTokensToTheirRight) {
    const auto loader = open(options(5, 2));
    const Batch& batch = *loader->next().value();
    ASSERT_EQ(batch.tokens_ST.size(), 5U * kWindowTokens);
    ASSERT_EQ(batch.targets_ST.size(), 5U * kWindowTokens);
    EXPECT_EQ(batch.window_tokens, kWindowTokens);
    for (std::size_t s = 0; s < 5; ++s) {
        const WindowLocation place = loader->samples().locate({0, static_cast<std::int64_t>(s)});
        for (std::size_t t = 0; t < kWindowTokens; ++t) {
            const std::int64_t expected =
                (place.shard == 0 ? 0 : 1000) + place.first_token + static_cast<std::int64_t>(t);
            EXPECT_EQ(batch.tokens_ST[s * kWindowTokens + t], expected);
            EXPECT_EQ(batch.targets_ST[s * kWindowTokens + t], expected + 1);
        }
    }
}

TEST_F(BatchLoaderTest, P3_MeetsEveryWindowExactlyOnceAnEpoch) {
    constexpr std::int64_t kEpochs = 4;
    for (const std::int64_t sequences : {1, 2, 3, 5, 7, 11, 22, 23, 24, 50}) {
        const auto loader = open(options(sequences, 3));
        std::map<std::pair<std::int64_t, std::int32_t>, int> met;  // (epoch, window)
        Cursor cursor;
        while (cursor.epoch < kEpochs) {
            const Seen seen = take(*loader);
            EXPECT_EQ(seen.begin, cursor);
            for (const std::int32_t first_token : seen.first_tokens) {
                ++met[{cursor.epoch, first_token}];
                cursor = cursor.advanced(1, kWindows);
            }
            EXPECT_EQ(seen.end, cursor);
        }
        for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
            std::int64_t windows = 0;
            for (const auto& [key, count] : met) {
                if (key.first == epoch) {
                    EXPECT_EQ(count, 1) << "epoch " << epoch << " batch " << sequences;
                    ++windows;
                }
            }
            EXPECT_EQ(windows, kWindows) << "epoch " << epoch << " batch " << sequences;
        }
    }
}

TEST_F(BatchLoaderTest, P3_OrderDoesNotDependOnTheBatchSize) {
    std::vector<std::int32_t> order;
    for (const std::int64_t sequences : {1, 2, 6, 23, 30}) {
        std::vector<std::int32_t> windows;
        const auto batches = static_cast<std::size_t>(60 / sequences);
        for (const Seen& seen : stream(sequences, 2, batches)) {
            windows.insert(windows.end(), seen.first_tokens.begin(), seen.first_tokens.end());
        }
        order = order.empty() ? windows : order;
        windows.resize(46);
        EXPECT_EQ(windows, std::vector<std::int32_t>(order.begin(), order.begin() + 46));
    }
}

TEST_F(BatchLoaderTest, P3_GoesOnTheSameFromEveryCursor) {
    const std::vector<Seen> straight = stream(5, 2, 16);  // 80 windows: past three epochs
    for (std::size_t stop = 0; stop < straight.size(); ++stop) {
        const auto loader = open(options(5, 2), straight[stop].begin);
        for (std::size_t i = stop; i < std::min(stop + 3, straight.size()); ++i) {
            EXPECT_EQ(take(*loader), straight[i]) << "stopped before batch " << stop;
        }
    }
}

TEST_F(BatchLoaderTest, P3_GoesOnTheSameThroughAChainOfStopsAtEveryBatch) {
    for (const std::int64_t sequences : {1, 3, 5, 23}) {
        const std::vector<Seen> straight = stream(sequences, 2, 24);
        Cursor cursor;
        for (const Seen& expected : straight) {
            const auto loader = open(options(sequences, 3), cursor);  // and is thrown away
            EXPECT_EQ(take(*loader), expected);
            cursor = loader->cursor();
        }
    }
}

TEST_F(BatchLoaderTest, P3_GoesOnTheSameAroundTheEpochBoundary) {
    const std::vector<Seen> one_by_one = stream(1, 2, 2 * kWindows + 3);
    for (const std::int64_t boundary : {kWindows, 2 * kWindows}) {
        for (const std::int64_t offset : {-1, 0, 1}) {
            const Cursor cursor = Cursor{}.advanced(boundary + offset, kWindows);
            const auto loader = open(options(1, 2), cursor);
            EXPECT_EQ(take(*loader), one_by_one[static_cast<std::size_t>(boundary + offset)]);
        }
    }
}

TEST_F(BatchLoaderTest, P3_StreamDoesNotDependOnHowFarAheadItReads) {
    const std::vector<Seen> without_thread = stream(5, 0, 20);
    for (const std::int64_t prefetch : {1, 2, 7}) {
        EXPECT_EQ(stream(5, prefetch, 20), without_thread);
    }
}

std::string source_file(const std::string& path) {
    std::ifstream file(std::string(HOLDFAST_SOURCE_DIR) + "/" + path);
    return std::string((std::istreambuf_iterator<char>(file)), {});
}

// reference_order.txt is the output of reference_order.py, which shares no code with the loader.
TEST_F(BatchLoaderTest, P3_GivesTheBatchesOfTheReferenceProgram) {
    std::string text;
    for (const Seen& seen : stream(5, 2, 20)) {
        text += fmt::format("{} {} {} {}\n",
                            seen.begin.epoch,
                            seen.begin.sample,
                            base::to_hex(seen.batch_hash),
                            fmt::join(seen.first_tokens, " "));
    }
    EXPECT_EQ(text, source_file("tests/data/reference_order.txt"));
}

TEST(DataFormatDocument, HoldsTheReferenceProgram) {
    const std::string program = source_file("tests/data/reference_order.py");
    const std::size_t begin = program.find("import struct");
    const std::size_t end = program.find("\n\n\ndef main");
    ASSERT_NE(begin, std::string::npos);
    ASSERT_NE(end, std::string::npos);
    EXPECT_THAT(source_file("docs/data-format.md"),
                testing::HasSubstr("```python\n" + program.substr(begin, end - begin) + "\n```"));
}

TEST_F(BatchLoaderTest, P3_EpochsHaveOrdersOfTheirOwn) {
    const std::vector<Seen> epochs = stream(kWindows, 1, 3);
    EXPECT_NE(epochs[0].first_tokens, epochs[1].first_tokens);
    EXPECT_NE(epochs[1].first_tokens, epochs[2].first_tokens);
}

TEST_F(BatchLoaderTest, CursorCountsWhatWasConsumedNotWhatWasRead) {
    const auto loader = open(options(5, 4));
    const Seen first = see(*loader->next().value());
    EXPECT_EQ(loader->cursor(), (Cursor{0, 0}));
    EXPECT_EQ(see(*loader->next().value()), first);  // still the one in hand
    loader->consume();
    EXPECT_EQ(loader->cursor(), (Cursor{0, 5}));
    EXPECT_EQ(loader->next().value()->begin, (Cursor{0, 5}));
    EXPECT_EQ(loader->next().value()->first_global_sample, 5);
}

TEST_F(BatchLoaderTest, P4_SlicesOfTheRanksMakeTheWholeBatch) {
    const Seen whole = stream(6, 1, 1)[0];
    for (const std::int64_t ranks : {1, 2, 3, 6}) {
        std::vector<std::int32_t> windows;
        for (std::int64_t rank = 0; rank < ranks; ++rank) {
            BatchLoaderOptions of_rank = options(6, 1);
            of_rank.slice = BatchSlice{rank * 6 / ranks, 6 / ranks};
            const auto loader = open(of_rank);
            const Batch& batch = *loader->next().value();
            EXPECT_EQ(batch.batch_hash, whole.batch_hash);
            EXPECT_EQ(batch.end, whole.end);
            EXPECT_EQ(batch.sequence_hashes.size(), 6U);
            const Seen seen = see(batch);
            windows.insert(windows.end(), seen.first_tokens.begin(), seen.first_tokens.end());
        }
        EXPECT_EQ(windows, whole.first_tokens);
    }
}

TEST_F(BatchLoaderTest, HashesTheWindowsInGlobalOrder) {
    const auto loader = open(options(3, 1));
    const Batch& batch = *loader->next().value();
    std::vector<std::uint64_t> hashes;
    for (std::size_t s = 0; s < 3; ++s) {
        const auto begin = batch.tokens_ST.begin() + static_cast<std::ptrdiff_t>(s * kWindowTokens);
        std::vector<std::int32_t> window(begin, begin + kWindowTokens);
        window.push_back(batch.targets_ST[s * kWindowTokens + kWindowTokens - 1]);
        hashes.push_back(sequence_hash(window));
    }
    EXPECT_EQ(batch.sequence_hashes, hashes);
    EXPECT_EQ(batch.batch_hash, combine_sequence_hashes(hashes));
    std::swap(hashes[0], hashes[1]);
    EXPECT_NE(batch.batch_hash, combine_sequence_hashes(hashes));
}

TEST_F(BatchLoaderTest, ReusesItsBuffers) {
    const auto loader = open(options(5, 2));
    std::map<const std::int32_t*, int> places;
    for (int i = 0; i < 30; ++i) {
        ++places[loader->next().value()->tokens_ST.data()];
        loader->consume();
    }
    EXPECT_EQ(places.size(), 3U);
}

TEST_F(BatchLoaderTest, TellsItsMemory) {
    EXPECT_EQ(BatchLoader::bytes_needed(options(5, 2), 4), 3 * (2 * 5 * 4 * 4 + 5 * 8) + 5 * 4);
}

TEST_F(BatchLoaderTest, RefusesACursorOutsideTheData) {
    for (const Cursor cursor : {Cursor{0, kWindows}, Cursor{0, -1}, Cursor{-1, 0}}) {
        const auto loader = BatchLoader::open(
            *set_, WindowMap::make(*set_, kWindowTokens).value(), options(5, 2), cursor);
        ASSERT_FALSE(loader.ok());
        EXPECT_EQ(loader.error().kind, base::ErrorKind::kInvalid);
        EXPECT_THAT(loader.error().what, testing::HasSubstr("23 windows of 4 tokens"));
    }
}

TEST_F(BatchLoaderTest, GivesTheBatchesBeforeAnErrorThenStaysWithIt) {
    // The file changes under the run: the window that comes third gets a token beyond the
    // vocabulary.
    const Seen third = stream(1, 1, 3)[2];
    const bool is_first_shard = third.first_tokens[0] < 1000;
    const std::int64_t position = third.first_tokens[0] - (is_first_shard ? 0 : 1000);
    {
        std::fstream file(folder_ / (is_first_shard ? "train_1.bin" : "train_2.bin"),
                          std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(1024 + 2 * (position + 1));
        file << bytes_of(std::vector<std::uint16_t>{60000});
    }
    for (const std::int64_t prefetch : {0, 1, 5}) {
        const auto loader = open(options(1, prefetch));
        // Time for the thread to run into the error before the first batch is taken.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        take(*loader);
        take(*loader);
        for (int again = 0; again < 3; ++again) {
            const Result<const Batch*> batch = loader->next();
            ASSERT_FALSE(batch.ok());
            EXPECT_EQ(batch.error().kind, base::ErrorKind::kCorrupt);
            EXPECT_THAT(batch.error().what, testing::HasSubstr("has token 60000"));
        }
        EXPECT_EQ(loader->cursor(), (Cursor{0, 2}));
    }
}

TEST_F(BatchLoaderTest, GivesAReadyBatchThoughAskedToStop) {
    const auto loader = open(options(5, 1));
    ASSERT_TRUE(loader->next().ok());  // ready from now on
    const Result<const Batch*> batch = loader->next([] { return true; });
    ASSERT_TRUE(batch.ok());
    EXPECT_NE(batch.value(), nullptr);
}

TEST_F(BatchLoaderTest, SeesAStopRequestWhileTheDiskHangs) {
    const Seen expected = stream(5, 1, 1)[0];
    GatedFileSystem file_system;
    const TokenSet set = TokenSet::open(file_system, {folder_.path()}, Split::kTrain).value();
    WindowMap windows = WindowMap::make(set, kWindowTokens).value();
    file_system.close_gate();
    auto opened = BatchLoader::open(set, std::move(windows), options(5, 1), {});
    ASSERT_TRUE(opened.ok());
    const std::unique_ptr<BatchLoader> loader = std::move(opened).value();
    int asked = 0;
    const Result<const Batch*> nothing = loader->next([&] { return ++asked == 3; });
    ASSERT_TRUE(nothing.ok());
    EXPECT_EQ(nothing.value(), nullptr);
    EXPECT_EQ(asked, 3);
    EXPECT_EQ(loader->cursor(), (Cursor{0, 0}));
    EXPECT_GT(loader->waited_seconds(), 0.0);
    file_system.open_gate();
    EXPECT_EQ(take(*loader), expected);
}

TEST_F(BatchLoaderTest, EndsWithoutBeingReadToTheEnd) {
    for (int i = 0; i < 50; ++i) {
        const auto untouched = open(options(5, 3));
        const auto in_hand = open(options(5, 3));
        ASSERT_TRUE(in_hand->next().ok());
    }
}

}  // namespace
}  // namespace holdfast::data
