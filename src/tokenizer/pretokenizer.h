// GPT-2's pieces: what the pattern
//     '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s
// (tiktoken's form; the same pieces as the original's) matches one after another, found by hand.
// Merges never cross from one piece into the next.
//
// Facts that follow from the pattern and that callers rely on: a piece that holds anything but
// white space has white space in its first place at most, so a piece always begins at a white-space
// character after one that is not; and nothing before a piece has a say in where it ends.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "tokenizer/unicode_class.h"

namespace holdfast::tokenizer {

static_assert(std::endian::native == std::endian::little,
              "the first byte of a text is looked for in the lowest bits of a word");

constexpr std::uint64_t repeat_byte(std::uint64_t byte) {
    return byte * 0x0101010101010101ULL;
}

// How many of the eight bytes are ASCII letters before the first that is not: with the case bit set
// and the high bit clear, a byte + (128 - 'a') has its high bit set from 'a' on, and
// + (127 - 'z') from the one after 'z' on.
inline std::size_t leading_ascii_letters(std::uint64_t word) {
    const std::uint64_t lower = (word | repeat_byte(0x20)) & repeat_byte(0x7F);
    const std::uint64_t from_a = lower + repeat_byte(128 - 'a');
    const std::uint64_t past_z = lower + repeat_byte(127 - 'z');
    const std::uint64_t others = ~(from_a & ~past_z & ~word) & repeat_byte(0x80);
    return static_cast<std::size_t>(std::countr_zero(others)) / 8;
}

// The end of the piece that begins at `begin`. `text` is well-formed UTF-8 and `begin` < its size.
std::size_t any_piece_end(const UnicodeClasses& classes, std::string_view text, std::size_t begin);

// The same, with the common case in line: a word of one to seven ASCII letters that an ASCII
// character ends.
inline std::size_t piece_end(const UnicodeClasses& classes,
                             std::string_view text,
                             std::size_t begin) {
    if (begin + 9 <= text.size()) [[likely]] {
        const std::size_t start = begin + (text[begin] == ' ' ? 1 : 0);
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + start, 8);
        const std::size_t letters = leading_ascii_letters(word);
        if (letters - 1 < 7 && (word >> (8 * letters) & 0x80U) == 0) [[likely]] {
            return start + letters;
        }
    }
    return any_piece_end(classes, text, begin);
}

}  // namespace holdfast::tokenizer
