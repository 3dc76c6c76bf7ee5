// A byte-level BPE vocabulary: tokens by id, ids by bytes, and which two tokens merge into which.
//
// As in tiktoken, the rank of a merge is the id of its result, and any two neighbours whose joined
// bytes are a token may merge. Immutable after parse(); any thread may read it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::tokenizer {

class BpeVocabulary {
public:
    // Larger than every id.
    static constexpr std::uint32_t kNone = 0xFFFFFFFF;

    // Of the text of a .tiktoken file with ids 0, 1, 2, ... below 65536 in order, all 256 single
    // bytes among them. The text is part of the program, so anything else is HF_CHECK.
    static BpeVocabulary parse(std::string_view ranks_text);

    [[nodiscard]] std::uint32_t size() const {
        return static_cast<std::uint32_t>(offsets_.size() - 1);
    }
    [[nodiscard]] std::string_view bytes_of(std::uint32_t id) const {
        return std::string_view(bytes_).substr(offsets_[id], offsets_[id + 1] - offsets_[id]);
    }
    [[nodiscard]] std::uint32_t id_of_byte(std::uint8_t byte) const { return byte_ids_[byte]; }
    // The id of the token with exactly these bytes, or kNone.
    [[nodiscard]] std::uint32_t find(std::string_view bytes) const;
    // The id of the token that `left` and `right` join to, or kNone.
    [[nodiscard]] std::uint32_t find_merge(std::uint32_t left, std::uint32_t right) const {
        const std::uint32_t key = left << 16U | right;
        for (std::size_t slot = merge_slot(key);; slot = (slot + 1) & (kMergeSlots - 1)) {
            const Merge& merge = merges_[slot];
            if (merge.key == key || merge.result == kNone) {
                return merge.result;
            }
        }
    }

private:
    // Powers of two, a good deal more than GPT-2's 50,256 tokens and 108,299 merges, so that chains
    // stay short; parse() checks the load.
    static constexpr std::size_t kTokenSlots = std::size_t{1} << 17U;
    static constexpr std::size_t kMergeSlots = std::size_t{1} << 18U;

    struct Merge {
        std::uint32_t key = 0;
        std::uint32_t result = kNone;
    };

    static std::size_t merge_slot(std::uint32_t key) {
        return (key * 0x9E3779B97F4A7C15ULL) >> (64U - 18U);
    }
    BpeVocabulary() = default;
    void add_token(std::string_view token);
    void add_merges_of(std::uint32_t id);

    std::string bytes_;
    std::vector<std::uint32_t> offsets_{0};
    std::array<std::uint32_t, 256> byte_ids_{};
    std::vector<std::uint32_t> token_slots_;
    std::vector<Merge> merges_;
    std::size_t merge_count_ = 0;
    std::size_t token_bytes_max_ = 0;
};

}  // namespace holdfast::tokenizer
