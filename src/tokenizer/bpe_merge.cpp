#include "tokenizer/bpe_merge.h"

#include <algorithm>
#include <array>
#include <functional>

namespace holdfast::tokenizer {

namespace {

// Up to here looking through all parts beats keeping a heap.
constexpr std::size_t kShortBytes = 96;
constexpr std::uint32_t kNone = BpeVocabulary::kNone;

}  // namespace

void BpeMerge::append_ids(std::string_view piece, std::vector<std::uint32_t>& out) {
    if (piece.size() <= kShortBytes) {
        append_ids_of_short(piece, out);
    } else {
        append_ids_of_long(piece, out);
    }
}

void BpeMerge::append_ids_of_short(std::string_view piece, std::vector<std::uint32_t>& out) {
    std::array<std::uint32_t, kShortBytes> ids;        // NOLINT: filled up to `count` below
    std::array<std::uint32_t, kShortBytes + 1> joins;  // NOLINT: joins[i] = merge of parts i, i + 1
    std::size_t count = piece.size();
    for (std::size_t part = 0; part < count; ++part) {
        ids[part] = vocabulary_.id_of_byte(static_cast<std::uint8_t>(piece[part]));
    }
    for (std::size_t part = 0; part + 1 < count; ++part) {
        joins[part] = vocabulary_.find_merge(ids[part], ids[part + 1]);
    }
    while (count > 1) {
        std::size_t best = 0;
        for (std::size_t part = 1; part + 1 < count; ++part) {
            best = joins[part] < joins[best] ? part : best;
        }
        if (joins[best] == kNone) {
            break;
        }
        ids[best] = joins[best];
        --count;
        for (std::size_t part = best + 1; part < count; ++part) {
            ids[part] = ids[part + 1];
            joins[part] = joins[part + 1];
        }
        if (best + 1 < count) {
            joins[best] = vocabulary_.find_merge(ids[best], ids[best + 1]);
        }
        if (best > 0) {
            joins[best - 1] = vocabulary_.find_merge(ids[best - 1], ids[best]);
        }
    }
    out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count));
}

void BpeMerge::push_candidate(std::uint32_t left) {
    const std::uint32_t right = next_[left];
    if (right == kNone) {
        return;
    }
    const std::uint32_t joined = vocabulary_.find_merge(ids_[left], ids_[right]);
    if (joined != kNone) {
        candidates_.push_back(std::uint64_t{joined} << 32U | left);
    }
}

void BpeMerge::append_ids_of_long(std::string_view piece, std::vector<std::uint32_t>& out) {
    const auto count = static_cast<std::uint32_t>(piece.size());
    ids_.resize(count);
    next_.resize(count);
    previous_.resize(count);
    for (std::uint32_t part = 0; part < count; ++part) {
        ids_[part] = vocabulary_.id_of_byte(static_cast<std::uint8_t>(piece[part]));
        next_[part] = part + 1 < count ? part + 1 : kNone;
        previous_[part] = part > 0 ? part - 1 : kNone;
    }
    candidates_.clear();
    for (std::uint32_t part = 0; part < count; ++part) {
        push_candidate(part);
    }
    std::ranges::make_heap(candidates_, std::greater<>{});
    while (!candidates_.empty()) {
        std::ranges::pop_heap(candidates_, std::greater<>{});
        const std::uint64_t candidate = candidates_.back();
        candidates_.pop_back();
        const auto left = static_cast<std::uint32_t>(candidate & 0xFFFFFFFFU);
        const auto joined = static_cast<std::uint32_t>(candidate >> 32U);
        const std::uint32_t right = ids_[left] == kNone ? kNone : next_[left];
        if (right == kNone || vocabulary_.find_merge(ids_[left], ids_[right]) != joined) {
            continue;
        }
        ids_[left] = joined;
        ids_[right] = kNone;
        next_[left] = next_[right];
        if (next_[left] != kNone) {
            previous_[next_[left]] = left;
        }
        for (const std::uint32_t changed : {left, previous_[left]}) {
            const std::size_t before = candidates_.size();
            if (changed != kNone) {
                push_candidate(changed);
            }
            if (candidates_.size() > before) {
                std::ranges::push_heap(candidates_, std::greater<>{});
            }
        }
    }
    std::ranges::copy_if(
        ids_, std::back_inserter(out), [](std::uint32_t id) { return id != kNone; });
}

}  // namespace holdfast::tokenizer
