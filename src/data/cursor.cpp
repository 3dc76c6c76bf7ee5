#include "data/cursor.h"

#include "base/check.h"

namespace holdfast::data {

namespace {

void check_inside(const Cursor& cursor, std::int64_t windows_per_epoch) {
    HF_CHECK(windows_per_epoch >= 1 && cursor.epoch >= 0 && cursor.sample >= 0 &&
                 cursor.sample < windows_per_epoch,
             "cursor {{{}, {}}} with {} windows an epoch",
             cursor.epoch,
             cursor.sample,
             windows_per_epoch);
}

}  // namespace

Cursor Cursor::advanced(std::int64_t count, std::int64_t windows_per_epoch) const {
    check_inside(*this, windows_per_epoch);
    HF_CHECK(count >= 0, "a cursor cannot go back by {}", -count);
    // Split before adding, so that no sum leaves 64 bits.
    const std::int64_t to_end = windows_per_epoch - sample;
    if (count < to_end) {
        return Cursor{epoch, sample + count};
    }
    const std::int64_t rest = count - to_end;
    return Cursor{epoch + 1 + rest / windows_per_epoch, rest % windows_per_epoch};
}

std::int64_t Cursor::global_sample(std::int64_t windows_per_epoch) const {
    check_inside(*this, windows_per_epoch);
    return epoch * windows_per_epoch + sample;
}

std::int64_t Cursor::left_in_epoch(std::int64_t windows_per_epoch) const {
    check_inside(*this, windows_per_epoch);
    return windows_per_epoch - sample;
}

}  // namespace holdfast::data
