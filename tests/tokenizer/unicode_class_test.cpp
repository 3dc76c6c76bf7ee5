#include "tokenizer/unicode_class.h"

#include <gtest/gtest.h>

namespace holdfast::tokenizer {
namespace {

TEST(UnicodeClass, KnowsTheUsualCharacters) {
    const UnicodeClasses classes;
    EXPECT_EQ(classes.of('a'), UnicodeClass::kLetter);
    EXPECT_EQ(classes.of('7'), UnicodeClass::kNumber);
    EXPECT_EQ(classes.of('_'), UnicodeClass::kOther);
    EXPECT_EQ(classes.of(0x0B), UnicodeClass::kSpace);
    EXPECT_EQ(classes.of(0x1F), UnicodeClass::kOther);
    EXPECT_EQ(classes.of(0x85), UnicodeClass::kSpace);
    EXPECT_EQ(classes.of(0xB2), UnicodeClass::kNumber);
    EXPECT_EQ(classes.of(0x301), UnicodeClass::kOther);
    EXPECT_EQ(classes.of(0x3000), UnicodeClass::kSpace);
    EXPECT_EQ(classes.of(0x4E2D), UnicodeClass::kLetter);
    EXPECT_EQ(classes.of(0x200B), UnicodeClass::kOther);
    EXPECT_EQ(classes.of(0x10FFFF), UnicodeClass::kOther);
}

TEST(UnicodeClass, UnfoldsTheTableWithoutLoss) {
    const UnicodeClasses classes;
    const auto runs = unicode_class_runs();
    for (std::size_t run = 0; run < runs.size(); ++run) {
        const std::uint32_t first = runs[run] >> 2U;
        const std::uint32_t end = run + 1 < runs.size() ? runs[run + 1] >> 2U : 0x110000;
        ASSERT_LT(first, end);
        for (std::uint32_t code_point = first; code_point < end; ++code_point) {
            ASSERT_EQ(classes.of(code_point), static_cast<UnicodeClass>(runs[run] & 3U));
        }
    }
}

}  // namespace
}  // namespace holdfast::tokenizer
