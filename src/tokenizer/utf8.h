// UTF-8 in and out, with the replacement rule of Python's bytes.decode("utf-8", errors="replace").
//
// That rule (the "maximal subpart" practice of the Unicode Standard, section 3.9): each longest
// prefix of a well-formed sequence that is not continued as it must be becomes one U+FFFD; every
// other stray byte becomes one of its own. Overlong forms, surrogates and values above U+10FFFF are
// not well-formed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::tokenizer {

// One character at the start of a text, or one ill-formed subpart of `bytes` bytes.
struct Utf8Character {
    char32_t code_point = 0xFFFD;  // U+FFFD when ill-formed
    std::uint8_t bytes = 1;        // 1..4; the length in the text
    bool well_formed = false;
    bool cut_short = false;  // the text ends within what could be a character; not well-formed
};

// Looks at the start of a text of at least one byte.
Utf8Character first_character(std::string_view text);

[[nodiscard]] bool is_well_formed_utf8(std::string_view text);

// Appends `text` to `out` with every ill-formed subpart replaced by U+FFFD (EF BF BD).
void append_well_formed(std::string_view text, std::string& out);

// For bytes that arrive in pieces cut anywhere, as sampled tokens do: gives out whole characters
// and holds an unfinished one back. One thread at a time.
class Utf8StreamDecoder {
public:
    // Appends to `out` all that is complete, replacement rule applied.
    void append(std::string_view bytes, std::string& out);
    // The end: an unfinished character becomes one U+FFFD. The decoder is as new.
    void finish(std::string& out);

private:
    std::string held_;  // at most 3 bytes
};

}  // namespace holdfast::tokenizer
