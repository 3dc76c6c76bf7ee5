#include "train/last_save.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/words.h"

namespace holdfast::train {

namespace {

// At the deadline a try may be under way: one that fails as those before does so within this.
constexpr double kLastTrySeconds = 1.0;

LastSave saved(const Saver& saver, std::int64_t step) {
    return {LastSaveKind::kSaved,
            fmt::format("step {} is saved as {}", step, saver.last_published()->label)};
}

LastSave still_writing(const Saver& saver, std::int64_t step) {
    return {
        LastSaveKind::kStillWriting,
        fmt::format("step {} is not saved: the disk is still at work on the save of step {}; {}",
                    step,
                    saver.newest_step(),
                    newest_in_words(saver))};
}

LastSave failed(const Saver& saver, std::int64_t step) {
    const auto outcome = saver.last_outcome();
    return {LastSaveKind::kFailed,
            fmt::format("step {} could not be saved ({}); {}",
                        step,
                        outcome && outcome->error ? outcome->error->what : "no outcome",
                        newest_in_words(saver))};
}

}  // namespace

std::string newest_in_words(const Saver& saver) {
    const auto newest = saver.last_published();
    return newest ? "the newest checkpoint is " + newest->label : "there is no checkpoint yet";
}

LastSave save_last(Saver& saver,
                   std::int64_t step,
                   const LastSaveDeadlines& deadlines,
                   const std::function<void()>& save) {
    // At the deadline the deletions after a save may be under way: they wait for nobody.
    if (!saver.settle(deadlines.writing_seconds) && saver.in_flight_seconds() > 0) {
        return still_writing(saver, step);
    }
    if (saver.last_good_step() == step) {
        return saved(saver, step);
    }
    if (saver.newest_step() != step) {
        const double expected_seconds = kSaveTimeMargin * saver.expected_write_seconds();
        const double left_seconds = deadlines.writing_seconds - base::monotonic_seconds();
        if (expected_seconds > left_seconds) {
            return {LastSaveKind::kNoTime,
                    fmt::format("step {} is not saved: a save takes up to {} and {} are left until "
                                "the deadline; {}",
                                step,
                                base::duration_in_words(expected_seconds),
                                base::duration_in_words(std::max(left_seconds, 0.0)),
                                newest_in_words(saver))};
        }
        save();
        if (!saver.settle(deadlines.writing_seconds) && saver.in_flight_seconds() > 0) {
            return still_writing(saver, step);
        }
    }
    if (!saver.poison() && !saver.wait_published(deadlines.retrying_seconds) &&
        !saver.settle(
            std::max(deadlines.writing_seconds, base::monotonic_seconds() + kLastTrySeconds))) {
        return still_writing(saver, step);
    }
    return saver.last_good_step() == step ? saved(saver, step) : failed(saver, step);
}

}  // namespace holdfast::train
