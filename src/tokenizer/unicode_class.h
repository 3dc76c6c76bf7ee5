// The Unicode classes GPT-2's splitting pattern asks for: \p{L}, \p{N}, \s and the rest.
//
// The classes are those of the regular expression engine inside tiktoken, code point by code point
// (unicode_class_table.cpp, made by make_unicode_class_table.py), not those of a library on this
// machine: a letter assigned in a later Unicode version would change the ids.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace holdfast::tokenizer {

enum class UnicodeClass : std::uint8_t {
    kOther,  // [^\s\p{L}\p{N}]
    kLetter,
    kNumber,
    kSpace
};

// Where a run of code points of one class begins: code point << 2 | class. The table begins with
// code point 0 and is sorted.
std::span<const std::uint32_t> unicode_class_runs();
// "16.0.0": the Unicode version of that table.
std::string_view unicode_class_version();

// The table unfolded for look-ups: 40 KB. Immutable; any thread may read it.
class UnicodeClasses {
public:
    UnicodeClasses();

    // `code_point` <= U+10FFFF.
    [[nodiscard]] UnicodeClass of(char32_t code_point) const {
        const std::size_t page = pages_[code_point >> 8U];
        return classes_[page << 8U | (code_point & 0xFFU)];
    }
    [[nodiscard]] UnicodeClass of_ascii(std::uint8_t byte) const { return classes_[byte]; }

private:
    std::array<std::uint8_t, 0x1100> pages_{};
    std::vector<UnicodeClass> classes_;  // distinct pages of 256; the first is that of ASCII
};

}  // namespace holdfast::tokenizer
