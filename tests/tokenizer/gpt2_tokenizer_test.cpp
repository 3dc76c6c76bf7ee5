// The ids of GPT-2 against tiktoken's, read from gpt2_vectors.bin (make_vectors.py).
#include "tokenizer/gpt2_tokenizer.h"

#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "tokenizer/utf8.h"

namespace holdfast::tokenizer {
namespace {

constexpr std::size_t kIdsStoredMax = 24;

struct Vector {
    std::string text;
    std::uint32_t id_count = 0;
    std::vector<std::uint32_t> ids;  // when there are few
    std::uint64_t ids_hash = 0;      // else
};

class VectorReader {
public:
    explicit VectorReader(std::string bytes) : bytes_(std::move(bytes)) {}

    template <typename T>
    T number() {
        T value{};
        std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
        return value;
    }
    std::string_view take(std::size_t count) {
        const std::string_view part = std::string_view(bytes_).substr(at_, count);
        EXPECT_EQ(part.size(), count);
        at_ += count;
        return part;
    }

private:
    std::string bytes_;
    std::size_t at_ = 0;
};

std::vector<Vector> read_vectors() {
    auto file = fs::read_file(fs::real_file_system(),
                              HOLDFAST_SOURCE_DIR "/tests/tokenizer/gpt2_vectors.bin",
                              std::uint64_t{4} << 20U);
    if (!file.ok()) {
        ADD_FAILURE() << file.error().what;
        return {};
    }
    VectorReader reader(std::move(file).value());
    EXPECT_EQ(reader.take(8), "HFVEC001");
    std::vector<Vector> vectors(reader.number<std::uint32_t>());
    for (Vector& vector : vectors) {
        const auto bytes = reader.number<std::uint32_t>();
        const auto repeats = reader.number<std::uint32_t>();
        const std::string_view unit = reader.take(bytes);
        for (std::uint32_t index = 0; index < repeats; ++index) {
            vector.text += unit;
        }
        vector.id_count = reader.number<std::uint32_t>();
        if (vector.id_count > kIdsStoredMax) {
            vector.ids_hash = reader.number<std::uint64_t>();
            continue;
        }
        for (std::uint32_t index = 0; index < vector.id_count; ++index) {
            vector.ids.push_back(reader.number<std::uint16_t>());
        }
    }
    return vectors;
}

std::uint64_t hash_of(const std::vector<std::uint32_t>& ids) {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const std::uint32_t id : ids) {
        hash = (hash ^ (id & 0xFFU)) * 0x100000001B3ULL;
        hash = (hash ^ id >> 8U) * 0x100000001B3ULL;
    }
    return hash;
}

void expect_ids(const Vector& vector, const std::vector<std::uint32_t>& ids) {
    const std::string shown = testing::PrintToString(vector.text.substr(0, 100));
    ASSERT_EQ(ids.size(), vector.id_count) << shown;
    if (vector.id_count > kIdsStoredMax) {
        ASSERT_EQ(hash_of(ids), vector.ids_hash) << shown;
    } else {
        ASSERT_EQ(ids, vector.ids) << shown;
    }
}

class Gpt2TokenizerTest : public testing::Test {
protected:
    static void SetUpTestSuite() {
        tokenizer_ = make_gpt2_tokenizer();
        vectors_ = read_vectors();
    }
    static void TearDownTestSuite() {
        tokenizer_.reset();
        vectors_ = {};
    }

    static inline std::unique_ptr<Tokenizer> tokenizer_;
    static inline std::vector<Vector> vectors_;
};

TEST_F(Gpt2TokenizerTest, GivesTheIdsOfTiktoken) {
    ASSERT_GE(vectors_.size(), 10'000U);
    std::vector<std::uint32_t> ids;
    for (const Vector& vector : vectors_) {
        ids.clear();
        tokenizer_->encode_ordinary(vector.text, ids);
        expect_ids(vector, ids);
    }
}

TEST_F(Gpt2TokenizerTest, TheCacheChangesNothingFromAnyThread) {
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number) {
        threads.emplace_back([] {
            const std::unique_ptr<Encoder> encoder = tokenizer_->make_encoder();
            std::vector<std::uint32_t> ids;
            for (int pass = 0; pass < 2; ++pass) {  // the second finds words in the cache
                for (const Vector& vector : vectors_) {
                    ids.clear();
                    encoder->encode_ordinary(vector.text, ids);
                    expect_ids(vector, ids);
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

TEST_F(Gpt2TokenizerTest, DecodingGivesTheTextBackWithIllFormedBytesReplaced) {
    std::vector<std::uint32_t> ids;
    for (const Vector& vector : vectors_) {
        ids.clear();
        tokenizer_->encode_ordinary(vector.text, ids);
        std::string decoded;
        ASSERT_TRUE(tokenizer_->decode(ids, decoded).ok());
        std::string expected;
        append_well_formed(vector.text, expected);
        ASSERT_EQ(decoded, expected);
    }
}

TEST_F(Gpt2TokenizerTest, CuttingATextWhereItSaysChangesNoIds) {
    std::size_t cuts = 0;
    for (const Vector& vector : vectors_) {
        const std::string_view text = vector.text;
        for (std::size_t end = 1; end <= std::min<std::size_t>(text.size(), 40); ++end) {
            const std::size_t cut = tokenizer_->last_cut(text.substr(0, end));
            if (cut == 0) {
                continue;
            }
            ASSERT_LT(cut, end);
            std::vector<std::uint32_t> ids;
            tokenizer_->encode_ordinary(text.substr(0, cut), ids);
            tokenizer_->encode_ordinary(text.substr(cut), ids);
            expect_ids(vector, ids);
            ++cuts;
            if (text.size() > 2000) {
                break;
            }
        }
    }
    EXPECT_GT(cuts, 5'000U);
}

TEST_F(Gpt2TokenizerTest, AnIdeographicSpaceIsNoPlaceToCutBehind) {
    EXPECT_EQ(tokenizer_->last_cut("a\xE3\x80\x80\n"), 0U);
    EXPECT_EQ(tokenizer_->last_cut("\xE3\x80\x82\nx"), 3U);
    EXPECT_EQ(tokenizer_->last_cut(std::string(100'000, 'a')), 0U);
}

TEST_F(Gpt2TokenizerTest, EndOfTextIsPlainTextGoingInAndReadableComingOut) {
    std::vector<std::uint32_t> ids;
    tokenizer_->encode_ordinary("<|endoftext|>", ids);
    EXPECT_EQ(ids.size(), 7U);
    std::string text;
    ASSERT_TRUE(tokenizer_->decode(std::vector<std::uint32_t>{50256}, text).ok());
    EXPECT_EQ(text, "<|endoftext|>");
    EXPECT_EQ(tokenizer_->end_of_text(), 50256U);
    EXPECT_EQ(tokenizer_->vocab_size(), 50257U);
}

TEST_F(Gpt2TokenizerTest, AnIdBeyondTheVocabularyIsRefusedAndWritesNothing) {
    std::string text = "before";
    const base::Status status = tokenizer_->decode(std::vector<std::uint32_t>{15496, 50257}, text);
    EXPECT_EQ(status.error().kind, base::ErrorKind::kInvalid);
    EXPECT_EQ(status.error().what, "token 50257 is not one of the tokenizer gpt2 (0 .. 50256)");
    EXPECT_EQ(text, "before");
}

}  // namespace
}  // namespace holdfast::tokenizer
