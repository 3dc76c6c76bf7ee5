// What a trainer does with its store, in the order of cli and saver, with a model of a few floats:
// opens the run, resumes, brings the log back, publishes anew where it must, logs, saves, tidies.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/resume_load.h"
#include "checkpoint/retention.h"
#include "checkpoint/run_directory.h"
#include "checkpoint_fixture.h"
#include "fs/file_system.h"
#include "parted_save.h"
#include "telemetry/metrics_log.h"

namespace holdfast::checkpoint {

// `state` cut evenly, which borrows it.
PartedState parted(const TinyState& state, std::int64_t rank_count);

class TinyTrainer {
public:
    TinyTrainer(fs::FileSystem& file_system, std::string directory, RetentionLimits limits);

    // From the process's start to the moment before its first step. A fresh run publishes step 0.
    base::Status start(const std::string& resume = "auto");
    // One line of metrics.jsonl.
    void log(std::int64_t step);
    // The log is synced, the state of `step` published, the owed pools joined, `latest` moved.
    // With more than one rank each writes its part (parted_save.h), one after the other.
    base::Result<PublishedCheckpoint> save(std::int64_t step,
                                           std::vector<Pool> owed = {},
                                           std::int64_t rank_count = 1);
    base::Result<PublishedCheckpoint> link(const PublishedCheckpoint& published, Pool pool);
    // What the backup writer does, in this thread: a copy into `pool`, then the one before it goes.
    base::Result<PublishedCheckpoint> copy(const PublishedCheckpoint& published, Pool pool);
    ReclaimReport tidy();

    [[nodiscard]] const RunDirectory& run() const { return opened_->run; }
    // Nothing when the run was fresh.
    [[nodiscard]] const std::optional<ResumedFrom>& resumed() const { return resumed_; }
    [[nodiscard]] const TinyState& state() const { return state_; }
    // The log held what the manifest says of it.
    [[nodiscard]] bool log_matched() const { return log_matched_; }
    [[nodiscard]] const Identity& last_published() const { return last_published_; }

private:
    base::Status bring_log_back();

    fs::FileSystem& file_system_;
    std::string directory_;
    RetentionLimits limits_;
    std::optional<OpenedRun> opened_;
    std::optional<ResumedFrom> resumed_;
    TinyState state_;
    bool log_matched_ = true;
    std::unique_ptr<telemetry::MetricsLog> log_;
    Manifest line_;  // lineage and ancestors of what is saved from now on
    Identity last_published_;
};

}  // namespace holdfast::checkpoint
