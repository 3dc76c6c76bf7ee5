// The saver: the one thread that writes checkpoints, beside training (promises P1, P5, P6).
//
// The trainer calls save(): it waits for one memory copy (the capture into the Snapshot) and goes
// on; this thread streams the snapshot to disk, verifies, publishes, joins owed pools, then deletes
// what retention plans. At most one save is in flight. A save that fails is shouted, counted and
// given up: training lives, and every older checkpoint is as it was.
//
// Owns the thread (joined by the destructor) and the transfer buffers. Borrows the run directory,
// the snapshot and the metrics log, which must outlive it; the run directory is used by this thread
// alone while a Saver lives. Thread use: the public calls belong to the trainer's thread. Blocking:
// as each call says.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/error.h"
#include "checkpoint/retention.h"
#include "checkpoint/run_directory.h"
#include "state/snapshot.h"
#include "telemetry/metrics_log.h"

namespace holdfast::train {

struct SaveOrder {
    checkpoint::Pool pool = checkpoint::Pool::kRolling;
    // Complete but for the save id, files and readback. `owed` names further pools to join.
    checkpoint::Manifest manifest;
};

// What came of the newest finished save.
struct SaveOutcome {
    std::int64_t step = -1;
    std::optional<base::Error> error;
    std::string label;  // "rolling/step_00000250" when there is no error
    std::string path;
    double write_seconds = 0;  // beside training
};

struct SaverOptions {
    checkpoint::RetentionLimits limits;
    // Steps; 0: off. The first rolling or epoch save at or after each multiple joins `keep`.
    std::int64_t keep_every = 0;
    // The checkpoint the run goes on from: until the first save it counts as the newest one.
    std::optional<checkpoint::PublishedCheckpoint> resumed_from;
};

class Saver {
public:
    Saver(checkpoint::RunDirectory& run,
          state::Snapshot& snapshot,
          telemetry::MetricsLog& metrics_log,
          const SaverOptions& options);
    // Finishes what is in flight, then joins.
    ~Saver();
    Saver(const Saver&) = delete;
    Saver& operator=(const Saver&) = delete;
    Saver(Saver&&) = delete;
    Saver& operator=(Saver&&) = delete;

    // How long the snapshot has been being written; 0 when save() would not have to wait.
    [[nodiscard]] double in_flight_seconds() const;

    // Captures through `capture` (which fills the snapshot) and hands the writing over. If a save
    // is in flight, waits for it first. Returns the seconds the caller was held up.
    double save(const std::function<void()>& capture, SaveOrder order);

    // The newest save of `step` also joins `pool`; done after it is published, by links. Nothing
    // happens when that save failed. Does not wait.
    void link_last_save(checkpoint::Pool pool);

    // Waits until nothing is in flight; the outcome of the newest save, none if there was none.
    std::optional<SaveOutcome> wait();

    // The step of the newest save that was handed over and has not failed; -1 when there is none.
    [[nodiscard]] std::int64_t last_good_step() const;
    // The newest checkpoint that was published by this Saver.
    [[nodiscard]] std::optional<SaveOutcome> last_published() const;
    [[nodiscard]] std::int64_t failed_saves() const;

private:
    struct LinkOrder {
        checkpoint::Pool pool;
    };
    using Job = std::variant<SaveOrder, LinkOrder>;

    void run_jobs();
    void run_save(SaveOrder order);
    void run_link(checkpoint::Pool pool);
    base::Result<checkpoint::PublishedCheckpoint> write(SaveOrder& order);
    void tidy();
    void note_failure(std::int64_t step, const base::Error& error, double seconds);

    checkpoint::RunDirectory& run_;
    state::Snapshot& snapshot_;
    telemetry::MetricsLog& metrics_log_;
    SaverOptions options_;
    checkpoint::TransferBuffers buffers_;
    std::optional<checkpoint::PublishedCheckpoint>
        published_;  // of the newest save; saver thread only

    mutable std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    bool running_job_ = false;
    bool snapshot_in_use_ = false;
    double in_flight_since_seconds_ = 0;
    bool ending_ = false;
    std::int64_t last_good_step_ = -1;
    std::int64_t failed_saves_ = 0;
    std::optional<SaveOutcome> last_outcome_;
    std::optional<SaveOutcome> last_published_;

    std::thread thread_;  // started when everything else is there
};

}  // namespace holdfast::train
