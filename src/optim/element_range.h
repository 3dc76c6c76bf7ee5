// Parts of the arena, and the spans an optimizer walks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace holdfast::optim {

// Elements [begin, end) of the arena.
struct ElementRange {
    std::int64_t begin = 0;
    std::int64_t end = 0;

    [[nodiscard]] std::int64_t size() const { return end - begin; }
    bool operator==(const ElementRange&) const = default;
};

// A stretch of elements that are all treated alike: inside one owned range, and wholly with or
// wholly without weight decay.
struct UpdateSpan {
    std::int64_t begin = 0;         // first element, in the arena
    std::int64_t moment_begin = 0;  // the same element in m and v, which hold owned elements only
    std::int64_t count = 0;
    bool decays = false;

    bool operator==(const UpdateSpan&) const = default;
};

// Sum of the sizes.
std::int64_t element_count(std::span<const ElementRange> ranges);

// Cuts `owned` at the edges of `decaying`. Both lists are in index order, without overlap and
// without empty ranges (checked). The spans cover `owned` exactly, in order.
std::vector<UpdateSpan> cut_into_spans(std::span<const ElementRange> owned,
                                       std::span<const ElementRange> decaying);

}  // namespace holdfast::optim
