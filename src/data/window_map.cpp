#include "data/window_map.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;

Result<WindowMap> WindowMap::make(const TokenSet& set, std::int64_t window_tokens) {
    std::vector<std::int64_t> counts;
    counts.reserve(set.shards().size());
    for (const TokenShard& shard : set.shards()) {
        counts.push_back(shard.token_count());
    }
    const Result<WindowMap> map = make(counts, window_tokens);
    if (!map.ok()) {
        return map.error().within(fmt::format("the {} data", to_string(set.split())));
    }
    return map;
}

Result<WindowMap> WindowMap::make(const std::vector<std::int64_t>& shard_token_counts,
                                  std::int64_t window_tokens) {
    HF_CHECK(window_tokens >= 1, "windows of {} tokens", window_tokens);
    std::vector<std::int64_t> ends;
    ends.reserve(shard_token_counts.size());
    std::int64_t end = 0;
    std::int64_t unused = 0;
    std::int64_t longest = 0;
    for (const std::int64_t count : shard_token_counts) {
        const std::int64_t windows = count > 0 ? (count - 1) / window_tokens : 0;
        end += windows;
        ends.push_back(end);
        unused += count - windows * window_tokens;
        longest = std::max(longest, count);
    }
    if (end == 0) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("the longest shard has {} tokens; one window takes {} (block_size "
                                 "{} and the token after it): use more text or a smaller "
                                 "block_size",
                                 longest,
                                 window_tokens + 1,
                                 window_tokens),
                     0};
    }
    return WindowMap(window_tokens, std::move(ends), unused);
}

WindowMap::WindowMap(std::int64_t window_tokens,
                     std::vector<std::int64_t> ends,
                     std::int64_t unused_token_count)
    : window_tokens_(window_tokens),
      ends_(std::move(ends)),
      unused_token_count_(unused_token_count) {}

WindowLocation WindowMap::locate(std::int64_t window) const {
    HF_CHECK(window >= 0 && window < window_count(), "window {} of {}", window, window_count());
    // The first shard whose end lies beyond the window; shards without windows are passed over.
    const auto end = std::upper_bound(ends_.begin(), ends_.end(), window);
    const std::int64_t first_window = end == ends_.begin() ? 0 : *(end - 1);
    return WindowLocation{end - ends_.begin(), (window - first_window) * window_tokens_};
}

}  // namespace holdfast::data
