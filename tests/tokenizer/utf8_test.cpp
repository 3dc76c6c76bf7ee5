#include "tokenizer/utf8.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::tokenizer {
namespace {

const std::string kMark = "\xEF\xBF\xBD";

std::string replaced(std::string_view text) {
    std::string out;
    append_well_formed(text, out);
    return out;
}

// The right sides are what Python 3.11 gives for bytes.decode("utf-8", errors="replace").
TEST(Utf8, EachIllFormedSubpartBecomesOneMark) {
    using namespace std::string_literals;
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"plain", "plain"},
        {"\xC3\xA9", "\xC3\xA9"},
        {"\xFF", kMark},
        {"a\x80z", "a" + kMark + "z"},
        {"\xC0\xAF", kMark + kMark},
        {"\xE0\x80\xAF", kMark + kMark + kMark},
        {"\xED\xA0\x80", kMark + kMark + kMark},
        {"\xF4\x91\x92\x93", kMark + kMark + kMark + kMark},
        {"\xF5\x80", kMark + kMark},
        {"\xE2\x82", kMark},
        {"\xE2\x82z", kMark + "z"},
        {"\xF0\x9F\x98", kMark},
        {"\xF0\x9F\x98\xF0\x9F\x98\x80", kMark + "\xF0\x9F\x98\x80"},
        {"A\xF0\x80\x80\x41", "A" + kMark + kMark + kMark + "A"},
        {"12345678\xE1\x80", "12345678" + kMark},
        {"nul\0nul"s, "nul\0nul"s},
    };
    for (const auto& [text, expected] : cases) {
        EXPECT_EQ(replaced(text), expected) << testing::PrintToString(text);
        EXPECT_EQ(is_well_formed_utf8(text), text == expected);
    }
}

TEST(Utf8, TheBordersOfTheCodeSpaceAreWellFormed) {
    for (const char* text : {"\xC2\x80",
                             "\xDF\xBF",
                             "\xE0\xA0\x80",
                             "\xED\x9F\xBF",
                             "\xEE\x80\x80",
                             "\xF0\x90\x80\x80",
                             "\xF4\x8F\xBF\xBF"}) {
        const Utf8Character character = first_character(text);
        EXPECT_TRUE(character.well_formed);
        EXPECT_EQ(character.bytes, std::string_view(text).size());
    }
    EXPECT_EQ(first_character("\xF4\x8F\xBF\xBF").code_point, char32_t{0x10FFFF});
}

TEST(Utf8StreamDecoder, HoldsAnUnfinishedCharacterBack) {
    Utf8StreamDecoder decoder;
    std::string out;
    decoder.append("caf\xC3", out);
    EXPECT_EQ(out, "caf");
    decoder.append("\xA9 \xF0\x9F", out);
    EXPECT_EQ(out, "caf\xC3\xA9 ");
    decoder.append("\x98", out);
    EXPECT_EQ(out, "caf\xC3\xA9 ");
    decoder.append("\x80!", out);
    EXPECT_EQ(out, "caf\xC3\xA9 \xF0\x9F\x98\x80!");
    decoder.append("\xE2\x82", out);
    decoder.finish(out);
    EXPECT_EQ(out, "caf\xC3\xA9 \xF0\x9F\x98\x80!" + kMark);
}

TEST(Utf8StreamDecoder, TheCutDoesNotChangeTheText) {
    const std::string text =
        "a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\xFF\xE2\x82z\xF0\x9F\xC3\xA9\x80\xED\xA0\x80.";
    for (std::size_t first = 0; first <= text.size(); ++first) {
        for (std::size_t second = first; second <= text.size(); ++second) {
            Utf8StreamDecoder decoder;
            std::string out;
            decoder.append(std::string_view(text).substr(0, first), out);
            decoder.append(std::string_view(text).substr(first, second - first), out);
            decoder.append(std::string_view(text).substr(second), out);
            decoder.finish(out);
            ASSERT_EQ(out, replaced(text)) << first << ' ' << second;
        }
    }
}

}  // namespace
}  // namespace holdfast::tokenizer
