#include "tokenizer/bpe_vocabulary.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/checksum.h"

namespace holdfast::tokenizer {

namespace {

// The value of a base64 digit (RFC 4648, section 4); 64 for anything else.
std::uint32_t base64_value(char digit) {
    if (digit >= 'A' && digit <= 'Z') {
        return static_cast<std::uint32_t>(digit - 'A');
    }
    if (digit >= 'a' && digit <= 'z') {
        return static_cast<std::uint32_t>(digit - 'a') + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return static_cast<std::uint32_t>(digit - '0') + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : 64;
}

void decode_base64(std::string_view text, std::string& out) {
    out.clear();
    std::uint32_t bits = 0;
    std::uint32_t bit_count = 0;
    for (const char digit : text) {
        if (digit == '=') {
            break;
        }
        const std::uint32_t value = base64_value(digit);
        HF_CHECK(value < 64, "not base64 in the ranks: {}", text);
        bits = bits << 6U | value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out.push_back(static_cast<char>(bits >> bit_count & 0xFFU));
        }
    }
}

}  // namespace

BpeVocabulary BpeVocabulary::parse(std::string_view ranks_text) {
    BpeVocabulary vocabulary;
    vocabulary.token_slots_.assign(kTokenSlots, kNone);
    vocabulary.merges_.assign(kMergeSlots, Merge{});
    vocabulary.byte_ids_.fill(kNone);
    std::string token;
    while (!ranks_text.empty()) {
        const std::string_view line = ranks_text.substr(0, ranks_text.find('\n'));
        ranks_text.remove_prefix(std::min(ranks_text.size(), line.size() + 1));
        const std::size_t space = line.find(' ');
        HF_CHECK(space != std::string_view::npos, "no rank in the line: {}", line);
        std::uint32_t rank = kNone;
        std::from_chars(line.data() + space + 1, line.data() + line.size(), rank);
        HF_CHECK(
            rank == vocabulary.size(), "rank {} stands where {} belongs", rank, vocabulary.size());
        decode_base64(line.substr(0, space), token);
        vocabulary.add_token(token);
    }
    HF_CHECK(vocabulary.size() <= 0xFFFF, "{} tokens do not fit 16 bits", vocabulary.size());
    HF_CHECK(std::ranges::find(vocabulary.byte_ids_, kNone) == vocabulary.byte_ids_.end(),
             "not every byte is a token");
    for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
        vocabulary.add_merges_of(id);
    }
    HF_CHECK(vocabulary.size() < kTokenSlots / 2 && vocabulary.merge_count_ < kMergeSlots / 2,
             "the tables are too small for {} tokens and {} merges",
             vocabulary.size(),
             vocabulary.merge_count_);
    return vocabulary;
}

std::uint32_t BpeVocabulary::find(std::string_view bytes) const {
    if (bytes.size() > token_bytes_max_) {
        return kNone;
    }
    for (std::size_t slot = base::checksum64(bytes) & (kTokenSlots - 1);;
         slot = (slot + 1) & (kTokenSlots - 1)) {
        const std::uint32_t id = token_slots_[slot];
        if (id == kNone || bytes_of(id) == bytes) {
            return id;
        }
    }
}

void BpeVocabulary::add_token(std::string_view token) {
    HF_CHECK(!token.empty() && find(token) == kNone, "token {} is empty or stands twice", size());
    const std::uint32_t id = size();
    bytes_.append(token);
    offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    token_bytes_max_ = std::max(token_bytes_max_, token.size());
    if (token.size() == 1) {
        byte_ids_[static_cast<std::uint8_t>(token[0])] = id;
    }
    std::size_t slot = base::checksum64(token) & (kTokenSlots - 1);
    while (token_slots_[slot] != kNone) {
        slot = (slot + 1) & (kTokenSlots - 1);
    }
    token_slots_[slot] = id;
}

void BpeVocabulary::add_merges_of(std::uint32_t id) {
    const std::string_view token = bytes_of(id);
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
        const std::uint32_t left = find(token.substr(0, cut));
        if (left == kNone) {
            continue;
        }
        const std::uint32_t right = find(token.substr(cut));
        if (right == kNone) {
            continue;
        }
        const std::uint32_t key = left << 16U | right;
        std::size_t slot = merge_slot(key);
        while (merges_[slot].result != kNone) {
            slot = (slot + 1) & (kMergeSlots - 1);
        }
        merges_[slot] = {key, id};
        ++merge_count_;
    }
}

}  // namespace holdfast::tokenizer
