// metrics.jsonl: one line a step, append only, never a reason to stop (patient_file.h).
//
// A checkpoint remembers how far the log had come (LogPosition, stored in its manifest); a resume
// cuts the log back to there, so that the file holds each step once, whatever was stopped when.
//
// Threads: append() by the trainer, position() and sync() by the saver beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "fs/file_system.h"
#include "telemetry/patient_file.h"
#include "telemetry/step_metrics.h"

namespace holdfast::telemetry {

// The length and checksum of the first `bytes` of the file; of all of it when it is shorter. Zero
// bytes when the file does not exist. Reads in pieces. Errors: what the seam says.
base::Result<LogPosition> read_log_position(fs::FileSystem& file_system,
                                            const std::string& path,
                                            std::uint64_t bytes);

// The line that begins at byte `begin` of the log; nothing when there is none, when it is not
// whole, or when it cannot be read.
std::optional<StepMetrics> read_line_at(fs::FileSystem& file_system,
                                        const std::string& path,
                                        std::uint64_t begin);

// What cut_log() found and did.
struct LogCut {
    bool matches = true;           // the prefix is what the checkpoint remembers
    LogPosition position;          // of the log as it is now
    std::uint64_t tail_bytes = 0;  // cut off and kept in `tail_path`
    std::string tail_path;
    std::string note;  // one line for people when it does not match, else empty
};

// Brings the log back to `remembered`: what comes after is copied to `tail_path` durably (to
// "<tail_path without .jsonl>-2.jsonl" and so on when an older tail of other bytes has the name),
// then cut. Repeatable after a crash at any point. A log that is too short and that a tail kept
// beside it completes (a rollback was cut short before its first checkpoint) is put back first. A
// prefix that does not match is told and kept: the cut is then at the last line end at or before
// the remembered length. Errors: what the seam says; then the log is as it was, or cut with its
// tail kept.
base::Result<LogCut> cut_log(fs::FileSystem& file_system,
                             const std::string& path,
                             const LogPosition& remembered,
                             const std::string& tail_path);

class MetricsLog {
public:
    // Opens `path` (made when missing) to continue at its end; reads it once for the checksum. A
    // last line without its end (a crash while writing) is cut. `file_system` must outlive this.
    static base::Result<std::unique_ptr<MetricsLog>> open(fs::FileSystem& file_system,
                                                          const std::string& path);

    // Adds one line. Never fails and never waits for the device: see patient_file.h.
    void append(const StepMetrics& metrics);

    // Length and checksum of all lines accepted so far (those that still wait in memory included).
    [[nodiscard]] LogPosition position() const { return file_->position(); }

    // All accepted lines are on the disk; the saver calls it before it writes a manifest.
    base::Status sync() { return file_->sync(); }

    [[nodiscard]] std::int64_t refused_lines() const { return file_->refused_records(); }

private:
    explicit MetricsLog(std::unique_ptr<PatientFile> file);

    std::unique_ptr<PatientFile> file_;
};

}  // namespace holdfast::telemetry
