// Where a cursor points: P3's pure function of (seed, epoch, sample), down to shard and token.
//
// A value (GlobalOrder after WindowMap), const, safe for any thread.
#pragma once

#include <cstdint>

#include "data/cursor.h"
#include "data/window_map.h"

namespace holdfast::data {

class SampleMap {
public:
    SampleMap(std::uint64_t seed, WindowMap windows);

    [[nodiscard]] const WindowMap& windows() const { return windows_; }
    [[nodiscard]] std::int64_t windows_per_epoch() const { return windows_.window_count(); }

    // The window the cursor means; its sample must be inside the epoch.
    [[nodiscard]] WindowLocation locate(const Cursor& cursor) const;

private:
    std::uint64_t seed_;
    WindowMap windows_;
};

}  // namespace holdfast::data
