#include "dist/sum_tree.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace holdfast::dist {

namespace {

void sum_range(std::vector<at::Tensor>& parts, std::size_t first, std::size_t count) {
    if (count < 2) {
        return;
    }
    const std::size_t left = std::bit_floor(count - 1);
    sum_range(parts, first, left);
    sum_range(parts, first + left, count - left);
    parts.at(first).add_(parts.at(first + left));
}

}  // namespace

void sum_tree(std::vector<at::Tensor>& parts) {
    HF_CHECK(!parts.empty(), "nothing to add");
    sum_range(parts, 0, parts.size());
}

std::vector<std::int64_t> valid_rank_counts(std::int64_t lanes) {
    HF_CHECK(lanes >= 1, "{} lanes", lanes);
    std::vector<std::int64_t> counts = {1};
    for (std::int64_t group = 1; lanes % group == 0; group *= 2) {
        counts.push_back(lanes / group);
    }
    std::sort(counts.begin(), counts.end());
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    return counts;
}

}  // namespace holdfast::dist
