// GPT-2's pieces: what the pattern
//     '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s
// (tiktoken's form; the same pieces as the original's) matches one after another, found by hand.
// Merges never cross from one piece into the next.
//
// Facts that follow from the pattern and that callers rely on: a piece that holds anything but
// white space has white space in its first place at most, so a piece always begins at a white-space
// character after one that is not; and nothing before a piece has a say in where it ends.
#pragma once

#include <cstddef>
#include <string_view>

#include "tokenizer/unicode_class.h"

namespace holdfast::tokenizer {

// The end of the piece that begins at `begin`. `text` is well-formed UTF-8 and `begin` < its size.
std::size_t piece_end(const UnicodeClasses& classes, std::string_view text, std::size_t begin);

}  // namespace holdfast::tokenizer
