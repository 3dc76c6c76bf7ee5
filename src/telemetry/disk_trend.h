// How full a disk is and how fast it fills: samples in, what must be told out.
//
// Full counts what this user cannot have: a disk is 100 % full when nothing more can be written,
// though root may keep a reserve. Growth is the slope of a line laid through the samples of the
// last three hours (least squares: saves and deletions make single steps of it meaningless), of all
// that fills the disk, not of this run alone; unknown until the samples span ten minutes.
//
// Not repeated: a message comes when a level is reached, again when the disk got five points
// fuller, and else at most once an hour. A value without a clock; one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/error.h"
#include "fs/file_system.h"

namespace holdfast::telemetry {

// Percent of the disk; 0: off.
struct DiskThresholds {
    std::int64_t warn_percent = 70;
    std::int64_t alert_percent = 90;

    [[nodiscard]] bool any() const { return warn_percent > 0 || alert_percent > 0; }
};

enum class DiskLevel { kFine, kWarn, kAlert };

struct DiskMessage {
    DiskLevel level = DiskLevel::kWarn;
    std::string text;  // one line
};

class DiskTrend {
public:
    // `path` is how messages name the disk.
    DiskTrend(std::string path, const DiskThresholds& thresholds);

    // What the disk said at `now_seconds` (any clock that never goes back).
    std::optional<DiskMessage> add(double now_seconds, const fs::SpaceStatus& space);

    // It could not be asked: told at the first failure of a row.
    std::optional<DiskMessage> fail(const base::Error& error);

    // Bytes an hour, negative when it empties; nothing while unknown.
    [[nodiscard]] std::optional<double> growth_an_hour() const;

private:
    struct Sample {
        double seconds = 0;
        std::uint64_t available_bytes = 0;
    };
    struct Told {
        DiskLevel level = DiskLevel::kFine;
        double percent = 0;
        double seconds = 0;
    };

    [[nodiscard]] DiskLevel level_of(double percent) const;
    [[nodiscard]] std::string in_words(double percent, const fs::SpaceStatus& space) const;

    std::string path_;
    DiskThresholds thresholds_;
    std::deque<Sample> samples_;
    std::optional<Told> told_;
    bool is_failing_ = false;
};

}  // namespace holdfast::telemetry
