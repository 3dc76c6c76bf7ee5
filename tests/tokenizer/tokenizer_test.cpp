#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

namespace holdfast::tokenizer {
namespace {

TEST(Tokenizer, AnUnknownNameIsOneClearLine) {
    const auto made = make_tokenizer("gpt4");
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().kind, base::ErrorKind::kInvalid);
    EXPECT_EQ(made.error().what,
              "there is no tokenizer called \"gpt4\"; the tokenizers are gpt2 and bytes");
}

TEST(Tokenizer, ANameGivesTheTokenizerOfThatName) {
    EXPECT_EQ(make_tokenizer("gpt2").value()->name(), "gpt2");
    EXPECT_EQ(make_tokenizer("bytes").value()->name(), "bytes");
}

// Prepared data is matched by fingerprint: these values change only when the ids may.
TEST(Tokenizer, FingerprintsArePartOfTheFormat) {
    EXPECT_EQ(make_tokenizer("gpt2").value()->fingerprint(), 0x43f84949984ed218ULL);
    EXPECT_EQ(make_tokenizer("bytes").value()->fingerprint(), 0xa3ced875b7c760b7ULL);
}

TEST(ByteTokenizer, EveryByteIsItsOwnId) {
    const auto bytes = make_tokenizer("bytes").value().release();
    const std::unique_ptr<Tokenizer> owner(bytes);
    std::string text;
    for (int byte = 0; byte < 256; ++byte) {
        text.push_back(static_cast<char>(byte));
    }
    std::vector<std::uint32_t> ids;
    bytes->make_encoder()->encode_ordinary(text, ids);
    ASSERT_EQ(ids.size(), 256U);
    for (std::uint32_t id = 0; id < 256; ++id) {
        EXPECT_EQ(ids[id], id);
    }
    std::string decoded;
    ASSERT_TRUE(bytes->decode(ids, decoded).ok());
    EXPECT_EQ(decoded, text);
    EXPECT_EQ(bytes->end_of_text(), 256U);
    EXPECT_EQ(bytes->vocab_size(), 257U);
    EXPECT_EQ(bytes->last_cut(text), text.size());
    EXPECT_FALSE(bytes->decode(std::vector<std::uint32_t>{257}, decoded).ok());
}

}  // namespace
}  // namespace holdfast::tokenizer
