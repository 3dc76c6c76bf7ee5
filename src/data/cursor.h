// The cursor: how much of the data a run has consumed. Counted in windows (not steps, not batches),
// so that it means the same whatever the batch, the rank count or the accumulation.
#pragma once

#include <cstdint>

namespace holdfast::data {

// The next window to consume is number `sample` of epoch `epoch`. Always sample < windows of an
// epoch: the end of epoch e is written {e + 1, 0}, so that one position has one name. Epochs begin
// at 0, and `epoch` is therefore also the number of epochs completed.
struct Cursor {
    std::int64_t epoch = 0;
    std::int64_t sample = 0;

    bool operator==(const Cursor&) const = default;

    // `count` windows further. Both must be of the same `windows_per_epoch`, at least 1.
    [[nodiscard]] Cursor advanced(std::int64_t count, std::int64_t windows_per_epoch) const;
    // Windows consumed since the run began.
    [[nodiscard]] std::int64_t global_sample(std::int64_t windows_per_epoch) const;
    // Windows left of this epoch, at least 1.
    [[nodiscard]] std::int64_t left_in_epoch(std::int64_t windows_per_epoch) const;
};

}  // namespace holdfast::data
