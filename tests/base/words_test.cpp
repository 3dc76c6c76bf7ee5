#include "base/words.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(Words, BytesKeepThreeDigits) {
    EXPECT_EQ(bytes_in_words(512), "512 B");
    EXPECT_EQ(bytes_in_words(1536), "1.50 KiB");
    EXPECT_EQ(bytes_in_words(1023 * 1024), "1.00 MiB");
    EXPECT_EQ(bytes_in_words(std::uint64_t{1} << 34U), "16.0 GiB");
}

TEST(Words, CountsKeepThreeDigits) {
    EXPECT_EQ(count_in_words(734), "734");
    EXPECT_EQ(count_in_words(18900), "18.9k");
    EXPECT_EQ(count_in_words(124.4e6), "124M");
}

TEST(Words, DurationsGrowWithTheirSize) {
    EXPECT_EQ(duration_in_words(0.8), "0.8s");
    EXPECT_EQ(duration_in_words(42), "42s");
    EXPECT_EQ(duration_in_words(185), "3m05s");
    EXPECT_EQ(duration_in_words(18180), "5h03m");
    EXPECT_EQ(duration_in_words(187200), "2d04h");
}

TEST(Words, CountsAreReadAsPeopleWriteThem) {
    EXPECT_EQ(parse_count("250"), 250);
    EXPECT_EQ(parse_count("524_288"), 524288);
    EXPECT_EQ(parse_count("1.5M"), 1500000);
    EXPECT_EQ(parse_count("2B"), 2000000000);
    EXPECT_EQ(parse_count("-1"), -1);
    EXPECT_EQ(parse_count("1e4"), 10000);
    EXPECT_FALSE(parse_count("1.5"));
    EXPECT_FALSE(parse_count("12x"));
    EXPECT_FALSE(parse_count(""));
    EXPECT_FALSE(parse_count("K"));
    EXPECT_FALSE(parse_count("99999999999999999999"));
}

TEST(Words, RealsAreWholeTextsAndFinite) {
    EXPECT_EQ(parse_real("3e-4"), 3e-4);
    EXPECT_FALSE(parse_real("3e-4x"));
    EXPECT_FALSE(parse_real("nan"));
    EXPECT_FALSE(parse_real("1e999"));
}

TEST(Words, DurationsAreReadWithTheirUnits) {
    EXPECT_EQ(parse_duration("90"), 90);
    EXPECT_EQ(parse_duration("1h30m"), 5400);
    EXPECT_EQ(parse_duration("2d"), 172800);
    EXPECT_FALSE(parse_duration("5x"));
    EXPECT_FALSE(parse_duration("-5s"));
    EXPECT_FALSE(parse_duration("m"));
}

TEST(Words, TheNearestWordIsALikelySlip) {
    const std::vector<std::string> keys = {"learning_rate", "weight_decay", "beta1"};
    EXPECT_EQ(nearest_word("learnig_rate", keys), "learning_rate");
    EXPECT_FALSE(nearest_word("colour", keys));
    EXPECT_FALSE(nearest_word(std::string(65, 'x'), {std::string(64, 'x')}));
}

TEST(Words, ATextFromOutsideIsPrintableOnOneLine) {
    EXPECT_EQ(printable("wte \xE2\x82\xAC"), "wte \xE2\x82\xAC");
    EXPECT_EQ(printable(std::string("a\n\x1B[31m\x7F\0b", 10)), "a\\x0A\\x1B[31m\\x7F\\x00b");
    EXPECT_EQ(printable("12345678", 8), "12345678");
    EXPECT_EQ(printable("123456789", 8), "12345678... (9 bytes)");
    EXPECT_EQ(printable("123456\xE2\x82\xAC", 8), "123456... (9 bytes)");
    EXPECT_EQ(printable("\x80\x80\x80", 1), "... (3 bytes)");
}

}  // namespace
}  // namespace holdfast::base
