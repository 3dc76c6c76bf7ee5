// Byte pair merging of one piece of text (Sennrich, Haddow, Birch 2016, arXiv:1508.07909): start
// from single bytes; while two neighbours join to a token, join the pair whose token has the lowest
// id, the leftmost of equals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_vocabulary.h"

namespace holdfast::tokenizer {

// Memory reused from piece to piece. One thread at a time; `vocabulary` must outlive it.
class BpeMerge {
public:
    explicit BpeMerge(const BpeVocabulary& vocabulary) : vocabulary_(vocabulary) {}

    // Appends the ids of `piece` (at least one byte, fewer than 2^32). A piece of n bytes takes
    // n^2 steps when short, n log n when long, and about 20 n bytes of memory.
    void append_ids(std::string_view piece, std::vector<std::uint32_t>& out);

private:
    void append_ids_of_short(std::string_view piece, std::vector<std::uint32_t>& out);
    void append_ids_of_long(std::string_view piece, std::vector<std::uint32_t>& out);
    void push_candidate(std::uint32_t left);

    const BpeVocabulary& vocabulary_;
    // Of a long piece, by position of a part's first byte: its id (kNone: joined to the part
    // before), and the positions of its neighbours.
    std::vector<std::uint32_t> ids_;
    std::vector<std::uint32_t> next_;
    std::vector<std::uint32_t> previous_;
    // A heap, lowest first: id of the joined token << 32 | position of the left part. An entry
    // whose parts have changed since is stale and is dropped when it comes up.
    std::vector<std::uint64_t> candidates_;
};

}  // namespace holdfast::tokenizer
