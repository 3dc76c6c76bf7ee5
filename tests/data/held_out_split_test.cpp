#include "data/held_out_split.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::data {
namespace {

std::vector<bool> draw(double val_fraction, std::size_t documents, const std::string& salt) {
    DocumentDraw draw(val_fraction);
    std::vector<bool> held_out;
    for (std::size_t document = 0; document < documents; ++document) {
        held_out.push_back(draw.is_held_out(salt + std::to_string(document)));
    }
    return held_out;
}

TEST(DocumentDraw, HoldsOutTheFractionToWithinOneDocument) {
    for (const double fraction : {0.5, 0.3, 0.1, 0.01, 0.0005}) {
        const std::vector<bool> held_out = draw(fraction, 10'000, "a");
        std::size_t count = 0;
        for (std::size_t document = 0; document < held_out.size(); ++document) {
            count += held_out[document] ? 1U : 0U;
            const double expected = static_cast<double>(document + 1) * fraction;
            EXPECT_LE(std::abs(static_cast<double>(count) - expected), 1.0 + 1e-9);
        }
    }
}

TEST(DocumentDraw, HoldsSomethingOutOnceThereAreEnoughDocuments) {
    for (const double fraction : {0.5, 0.3, 0.1, 0.07, 0.05, 0.01, 0.0005}) {
        const std::vector<bool> held_out = draw(fraction, documents_for_draw(fraction), "b");
        EXPECT_NE(std::find(held_out.begin(), held_out.end(), true), held_out.end()) << fraction;
    }
    EXPECT_EQ(documents_for_draw(0.5), 20U);
}

TEST(DocumentDraw, IsAFunctionOfPlaceAndContent) {
    EXPECT_EQ(draw(0.1, 500, "a"), draw(0.1, 500, "a"));
    EXPECT_NE(draw(0.1, 500, "a"), draw(0.1, 500, "b"));
}

std::uint64_t cut_of(const std::string& text, double val_fraction) {
    const TailSearch search = tail_search(text.size(), val_fraction);
    return tail_begin(search,
                      text.size(),
                      std::string_view(text).substr(search.begin, search.end - search.begin));
}

TEST(TailBegin, PrefersALineBreakAtOrAfterTheTarget) {
    // 100 bytes, target 80, looked for in [70, 90).
    std::string text(100, 'x');
    EXPECT_EQ(cut_of(text, 0.2), 80U);
    text[75] = ' ';
    EXPECT_EQ(cut_of(text, 0.2), 75U);
    text[86] = ' ';
    EXPECT_EQ(cut_of(text, 0.2), 86U);
    text[72] = '\n';
    EXPECT_EQ(cut_of(text, 0.2), 73U);
    text[84] = '\n';
    EXPECT_EQ(cut_of(text, 0.2), 85U);
    text[79] = '\n';
    EXPECT_EQ(cut_of(text, 0.2), 80U);
}

TEST(TailBegin, AFarLineBreakDoesNotChangeTheSizeOfTheTail) {
    std::string text(1000, 'x');
    text[10] = '\n';
    EXPECT_EQ(cut_of(text, 0.1), 900U);
}

TEST(TailBegin, DoesNotCutACharacterInTwo) {
    std::string text;
    for (int index = 0; index < 40; ++index) {
        text += "\xE4\xB8\xAD";
    }
    EXPECT_EQ(cut_of(text, 0.2) % 3, 0U);
}

TEST(TailBegin, WhatIsTooShortStaysWhole) {
    EXPECT_EQ(cut_of("x", 0.5), 1U);
    EXPECT_EQ(cut_of("\xE4\xB8\xAD", 0.5), 3U);
    EXPECT_EQ(cut_of("xy", 0.5), 1U);
}

}  // namespace
}  // namespace holdfast::data
