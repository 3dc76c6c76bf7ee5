// Windows: how a token set is cut into training sequences.
//
// Window k of a shard is its tokens [k*T, k*T + T]: T inputs and, one to the right, T targets. A
// shard of n tokens has (n - 1) / T windows (rounded down); windows never cross shards, and the up
// to T - 1 tokens at the end of a shard that fill no window are never seen. Windows are numbered
// through the set: all of shard 0, then all of shard 1, and so on.
//
// A value; const and safe for any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "data/token_set.h"

namespace holdfast::data {

// Where a window lies.
struct WindowLocation {
    std::int64_t shard = 0;        // index into TokenSet::shards()
    std::int64_t first_token = 0;  // in that shard
    bool operator==(const WindowLocation&) const = default;
};

class WindowMap {
public:
    // `window_tokens` is T, at least 1. kInvalid when the shards together have no window (the line
    // says how many tokens there are and how many are needed).
    static base::Result<WindowMap> make(const TokenSet& set, std::int64_t window_tokens);
    static base::Result<WindowMap> make(const std::vector<std::int64_t>& shard_token_counts,
                                        std::int64_t window_tokens);

    [[nodiscard]] std::int64_t window_tokens() const { return window_tokens_; }
    // Windows of the whole set, at least 1: one epoch.
    [[nodiscard]] std::int64_t window_count() const { return ends_.back(); }
    // Tokens that are in no window as inputs: the tails of the shards, at least 1 each.
    [[nodiscard]] std::int64_t unused_token_count() const { return unused_token_count_; }

    // `window` in [0, window_count()). O(log shards).
    [[nodiscard]] WindowLocation locate(std::int64_t window) const;

private:
    WindowMap(std::int64_t window_tokens,
              std::vector<std::int64_t> ends,
              std::int64_t unused_token_count);

    std::int64_t window_tokens_;
    std::vector<std::int64_t> ends_;  // a shard: windows up to and with it
    std::int64_t unused_token_count_;
};

}  // namespace holdfast::data
