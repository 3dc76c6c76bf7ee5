#include "tokenizer/pretokenizer.h"

#include <cstdint>
#include <cstring>

namespace holdfast::tokenizer {

namespace {

struct Character {
    UnicodeClass kind = UnicodeClass::kOther;
    std::size_t bytes = 1;
};

// The text is well-formed, so the lead byte alone tells the length.
Character character_at(const UnicodeClasses& classes, std::string_view text, std::size_t index) {
    const auto byte = [&](std::size_t offset) {
        return static_cast<std::uint8_t>(text[index + offset]);
    };
    const auto tail = [&](std::size_t offset) -> char32_t { return byte(offset) & 0x3FU; };
    const std::uint8_t lead = byte(0);
    if (lead < 0x80) {
        return {classes.of_ascii(lead), 1};
    }
    if (lead < 0xE0) {
        return {classes.of((lead & 0x1FU) << 6U | tail(1)), 2};
    }
    if (lead < 0xF0) {
        return {classes.of((lead & 0x0FU) << 12U | tail(1) << 6U | tail(2)), 3};
    }
    return {classes.of((lead & 0x07U) << 18U | tail(1) << 12U | tail(2) << 6U | tail(3)), 4};
}

// The end of the run of characters of class `kind` from `index` on.
std::size_t run_end(const UnicodeClasses& classes,
                    std::string_view text,
                    std::size_t index,
                    UnicodeClass kind) {
    while (index < text.size()) {
        if (kind == UnicodeClass::kLetter && index + 8 <= text.size()) {
            std::uint64_t word = 0;
            std::memcpy(&word, text.data() + index, 8);
            const std::size_t letters = leading_ascii_letters(word);
            index += letters;
            if (letters == 8) {
                continue;
            }
        }
        const Character character = character_at(classes, text, index);
        if (character.kind != kind) {
            break;
        }
        index += character.bytes;
    }
    return index;
}

// All of a run of white space at the end of the text; else the run without its last character,
// which the next piece begins with or stands alone as; else that single character.
std::size_t white_space_end(const UnicodeClasses& classes,
                            std::string_view text,
                            std::size_t begin) {
    std::size_t last = begin;
    std::size_t index = begin;
    while (index < text.size()) {
        const Character character = character_at(classes, text, index);
        if (character.kind != UnicodeClass::kSpace) {
            return last > begin ? last : index;
        }
        last = index;
        index += character.bytes;
    }
    return index;
}

// The bytes of 's 'd 'm 't 'll 've 're at `begin`, where an apostrophe stands; 0 when none of them.
std::size_t contraction_bytes(std::string_view text, std::size_t begin) {
    if (begin + 1 >= text.size()) {
        return 0;
    }
    const char first = text[begin + 1];
    if (first == 's' || first == 'd' || first == 'm' || first == 't') {
        return 2;
    }
    if (begin + 2 >= text.size()) {
        return 0;
    }
    const char second = text[begin + 2];
    const bool known =
        (first == 'l' && second == 'l') || ((first == 'v' || first == 'r') && second == 'e');
    return known ? 3 : 0;
}

}  // namespace

std::size_t any_piece_end(const UnicodeClasses& classes, std::string_view text, std::size_t begin) {
    std::size_t index = begin;
    if (text[begin] == ' ') {
        if (begin + 1 == text.size()) {
            return begin + 1;
        }
        index = begin + 1;
    } else if (text[begin] == '\'') {
        const std::size_t contraction = contraction_bytes(text, begin);
        if (contraction > 0) {
            return begin + contraction;
        }
    }
    const Character first = character_at(classes, text, index);
    if (first.kind == UnicodeClass::kSpace) {
        return white_space_end(classes, text, begin);
    }
    return run_end(classes, text, index + first.bytes, first.kind);
}

}  // namespace holdfast::tokenizer
