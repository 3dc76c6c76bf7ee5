// The saver: the one thread that writes checkpoints, beside training (promises P1, P5, P6).
//
// The trainer calls save(): it waits for one memory copy (the capture into the Snapshot) and goes
// on; this thread streams the snapshot to disk, verifies, publishes, joins owed pools, then deletes
// what retention plans. At most one save is in flight. A save that fails is shouted and counted;
// its state stays in the snapshot and is tried again every few seconds until the disk takes it or
// a newer save takes its place. Training lives, and every older checkpoint is as it was.
//
//   FREE --save()--> WRITING --published--> FREE
//                    WRITING --failed-----> WAITING --retry--> WRITING
//                                           WAITING --save()-> WRITING (the older state is given
//                                           up)
//
// Between saves it looks whether the run directory is still there: one that was deleted is made
// again, and save_wanted() asks the trainer for a save at once.
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
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "checkpoint/backup_writer.h"
#include "checkpoint/run_directory.h"
#include "state/snapshot.h"
#include "telemetry/metrics_log.h"
#include "train/save_order.h"
#include "train/save_writer.h"

namespace holdfast::train {

struct SaverOptions {
    SaveWriterOptions writer;
    // The checkpoint the run goes on from: until the first save it counts as the newest one.
    std::optional<checkpoint::PublishedCheckpoint> resumed_from;
    // Is offered what joins rolling and best; must outlive the saver. Null: no second copies.
    checkpoint::BackupWriter* backup = nullptr;
    double retry_seconds = 5;      // between two tries of a save that failed
    double reminder_seconds = 60;  // between two alarms while it goes on failing
};

class Saver {
public:
    static constexpr double kForEver = std::numeric_limits<double>::infinity();

    Saver(checkpoint::RunDirectory& run,
          state::Snapshot& snapshot,
          telemetry::MetricsLog& metrics_log,
          const SaverOptions& options);
    // Finishes what is being written, then joins.
    ~Saver();
    Saver(const Saver&) = delete;
    Saver& operator=(const Saver&) = delete;
    Saver(Saver&&) = delete;
    Saver& operator=(Saver&&) = delete;

    // How long the snapshot has been being written; 0 when save() would not have to wait.
    [[nodiscard]] double in_flight_seconds() const;

    // Captures through `capture` (which fills the snapshot) and hands the writing over. If a save
    // is being written, waits for it first, looking at `give_up` meanwhile. Returns the seconds the
    // caller was held up; nothing when it gave up, and then nothing was captured. What `capture`
    // throws is passed on, and the save never was.
    std::optional<double> save(const std::function<void()>& capture,
                               SaveOrder order,
                               const std::function<bool()>& give_up = {});

    // The newest save also joins `pool`: by links once it is published, as a pool it owes before.
    // Tried again when it fails. Does not wait.
    void link_last_save(checkpoint::Pool pool);

    // Waits until nothing is being written, at most until the monotonic time `deadline_seconds`;
    // false when that came first. A save that waits to be tried again is not being written.
    bool settle(double deadline_seconds = kForEver);
    // Waits until the newest save is published, through its retries; false at the deadline.
    bool wait_published(double deadline_seconds);

    // The outcome of the newest try; none if there was none.
    [[nodiscard]] std::optional<SaveOutcome> last_outcome() const;
    // The step of the newest save that was handed over; -1 when there is none.
    [[nodiscard]] std::int64_t newest_step() const;
    // The same among those that have not failed.
    [[nodiscard]] std::int64_t last_good_step() const;
    // The newest checkpoint that was published by this Saver, or resumed from.
    [[nodiscard]] std::optional<SaveOutcome> last_published() const;
    [[nodiscard]] std::int64_t failed_saves() const;
    // What a save takes from here to published: the longest of this process; 0 when unknown.
    [[nodiscard]] double expected_write_seconds() const;

    // The state handed over last held a number that is not finite, and was not saved: where.
    [[nodiscard]] std::optional<std::string> poison() const;
    // True once after the run directory had to be made again: what it held is lost, save now.
    bool take_save_wanted();

private:
    struct LinkOrder {
        checkpoint::Pool pool = checkpoint::Pool::kRolling;
    };
    using Job = std::variant<SaveOrder, LinkOrder>;
    struct WaitingSave {
        SaveOrder order;
        std::int64_t failures = 0;
    };
    struct WaitingLink {
        checkpoint::PublishedCheckpoint checkpoint;
        checkpoint::Pool pool = checkpoint::Pool::kRolling;
    };

    [[nodiscard]] bool snapshot_is_in_use() const;
    void forget_newest();
    void run_jobs();
    void look_around();
    void run_save(SaveOrder order, std::int64_t failures_before);
    void write_and_tell(SaveOrder& order, std::int64_t failures_before);
    void run_link(checkpoint::Pool pool);
    void retry_links();
    void note_published(const SaveOrder& order, std::int64_t failures_before, double seconds);
    void note_failure(SaveOrder order,
                      std::int64_t failures_before,
                      const base::Error& error,
                      double seconds);
    void note_poison(std::int64_t step, const std::string& where);
    void watch_directory();
    bool reminder_is_due();
    void offer_copy(const checkpoint::PublishedCheckpoint& checkpoint);

    SaverOptions options_;
    SaveWriter writer_;
    // Of the saver's thread alone.
    std::optional<checkpoint::PublishedCheckpoint> published_;  // of the newest save
    std::vector<WaitingLink> waiting_links_;
    double reminded_seconds_ = -kForEver;
    bool directory_is_lost_ = false;

    mutable std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    std::optional<WaitingSave> waiting_;
    bool running_job_ = false;
    bool snapshot_in_use_ = false;
    double in_flight_since_seconds_ = 0;
    bool ending_ = false;
    bool save_wanted_ = false;
    std::int64_t newest_step_ = -1;
    std::int64_t last_good_step_ = -1;
    std::int64_t failed_saves_ = 0;
    double longest_write_seconds_ = 0;
    std::optional<std::string> poison_;
    std::optional<SaveOutcome> last_outcome_;
    std::optional<SaveOutcome> last_published_;

    std::thread thread_;  // started when everything else is there
};

}  // namespace holdfast::train
