#include "data/sample_map.h"

#include <utility>

#include "data/global_order.h"

namespace holdfast::data {

SampleMap::SampleMap(std::uint64_t seed, WindowMap windows)
    : seed_(seed), windows_(std::move(windows)) {}

WindowLocation SampleMap::locate(const Cursor& cursor) const {
    const GlobalOrder order(seed_, cursor.epoch, windows_per_epoch());
    return windows_.locate(order.window_at(cursor.sample));
}

}  // namespace holdfast::data
