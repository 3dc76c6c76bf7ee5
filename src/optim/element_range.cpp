#include "optim/element_range.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::optim {
namespace {

void check_in_order(std::span<const ElementRange> ranges) {
    std::int64_t previous_end = 0;
    for (const ElementRange& range : ranges) {
        HF_CHECK(range.begin >= previous_end && range.end > range.begin,
                 "range [{}, {}) after element {}",
                 range.begin,
                 range.end,
                 previous_end);
        previous_end = range.end;
    }
}

}  // namespace

std::int64_t element_count(std::span<const ElementRange> ranges) {
    std::int64_t count = 0;
    for (const ElementRange& range : ranges) {
        count += range.size();
    }
    return count;
}

std::vector<UpdateSpan> cut_into_spans(std::span<const ElementRange> owned,
                                       std::span<const ElementRange> decaying) {
    check_in_order(owned);
    check_in_order(decaying);
    std::vector<UpdateSpan> spans;
    std::int64_t moment_begin = 0;
    auto decay = decaying.begin();
    for (const ElementRange& range : owned) {
        std::int64_t at = range.begin;
        while (at < range.end) {
            while (decay != decaying.end() && decay->end <= at) {
                ++decay;
            }
            const bool decays = decay != decaying.end() && decay->begin <= at;
            std::int64_t end = range.end;
            if (decay != decaying.end()) {
                end = std::min(end, decays ? decay->end : decay->begin);
            }
            spans.push_back({at, moment_begin, end - at, decays});
            moment_begin += end - at;
            at = end;
        }
    }
    return spans;
}

}  // namespace holdfast::optim
