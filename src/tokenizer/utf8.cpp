#include "tokenizer/utf8.h"

#include <cstring>

namespace holdfast::tokenizer {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;

std::uint8_t byte_at(std::string_view text, std::size_t index) {
    return static_cast<std::uint8_t>(text[index]);
}

// What a lead byte asks for: how many bytes follow, and the range of the first of them, which is
// where overlong forms, surrogates and values above U+10FFFF are told apart (Unicode, table 3-7).
struct LeadRule {
    std::uint8_t following = 0;  // 0: not a lead byte
    std::uint8_t second_min = 0x80;
    std::uint8_t second_max = 0xBF;
};

LeadRule rule_of(std::uint8_t lead) {
    if (lead < 0xC2 || lead > 0xF4) {
        return {};
    }
    if (lead < 0xE0) {
        return {.following = 1};
    }
    if (lead < 0xF0) {
        return {.following = 2,
                .second_min = static_cast<std::uint8_t>(lead == 0xE0 ? 0xA0 : 0x80),
                .second_max = static_cast<std::uint8_t>(lead == 0xED ? 0x9F : 0xBF)};
    }
    return {.following = 3,
            .second_min = static_cast<std::uint8_t>(lead == 0xF0 ? 0x90 : 0x80),
            .second_max = static_cast<std::uint8_t>(lead == 0xF4 ? 0x8F : 0xBF)};
}

// Bytes at the start of `text` that are ASCII for sure; steps of eight.
std::size_t ascii_words(std::string_view text) {
    std::size_t index = 0;
    while (index + 8 <= text.size()) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + index, 8);
        if ((word & kHighBits) != 0) {
            break;
        }
        index += 8;
    }
    return index;
}

// The first byte of `text` at or after `from` that begins an ill-formed subpart; its size when all
// is well. What stands there is told in `found`.
std::size_t find_ill_formed(std::string_view text, std::size_t from, Utf8Character& found) {
    std::size_t index = from;
    while (true) {
        index += ascii_words(text.substr(index));
        if (index >= text.size()) {
            return text.size();
        }
        const Utf8Character character = first_character(text.substr(index));
        if (!character.well_formed) {
            found = character;
            return index;
        }
        index += character.bytes;
    }
}

}  // namespace

Utf8Character first_character(std::string_view text) {
    const std::uint8_t lead = byte_at(text, 0);
    if (lead < 0x80) {
        return {.code_point = lead, .bytes = 1, .well_formed = true};
    }
    const LeadRule rule = rule_of(lead);
    if (rule.following == 0) {
        return {};
    }
    char32_t code_point = lead & (0x3FU >> rule.following);
    for (std::uint8_t index = 1; index <= rule.following; ++index) {
        if (index >= text.size()) {
            return {.bytes = index, .cut_short = true};
        }
        const std::uint8_t byte = byte_at(text, index);
        const std::uint8_t least = index == 1 ? rule.second_min : 0x80;
        const std::uint8_t most = index == 1 ? rule.second_max : 0xBF;
        if (byte < least || byte > most) {
            return {.bytes = index};
        }
        code_point = code_point << 6U | (byte & 0x3FU);
    }
    return {.code_point = code_point,
            .bytes = static_cast<std::uint8_t>(rule.following + 1),
            .well_formed = true};
}

bool is_well_formed_utf8(std::string_view text) {
    Utf8Character found;
    return find_ill_formed(text, 0, found) == text.size();
}

void append_well_formed(std::string_view text, std::string& out) {
    std::size_t begin = 0;
    while (begin < text.size()) {
        Utf8Character found;
        const std::size_t end = find_ill_formed(text, begin, found);
        out.append(text.substr(begin, end - begin));
        if (end == text.size()) {
            return;
        }
        out.append(kReplacement);
        begin = end + found.bytes;
    }
}

void Utf8StreamDecoder::append(std::string_view bytes, std::string& out) {
    held_.append(bytes);
    // Only the last three bytes can begin a character that the text does not end.
    std::size_t whole = held_.size();
    for (std::size_t back = 1; back <= 3 && back <= held_.size(); ++back) {
        const std::size_t index = held_.size() - back;
        if ((byte_at(held_, index) & 0xC0U) == 0x80U) {
            continue;
        }
        if (first_character(std::string_view(held_).substr(index)).cut_short) {
            whole = index;
        }
        break;
    }
    append_well_formed(std::string_view(held_).substr(0, whole), out);
    held_.erase(0, whole);
}

void Utf8StreamDecoder::finish(std::string& out) {
    append_well_formed(held_, out);
    held_.clear();
}

}  // namespace holdfast::tokenizer
