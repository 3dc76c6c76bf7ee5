// Makes the second copies of a run: the newest rolling checkpoint and the current best.
//
// One thread of the lowest priority copies beside everything else and never holds anybody up: the
// newest offer of each kind waits in a slot of its own, and one that is overtaken before its copy
// began is skipped and counted. A copy is published like a save before the one before it goes. What
// a backup disk does (full, missing, read-only, another run's) is shouted, counted and tried again
// with the next offer; it never reaches training. Invariants B1-B3 of docs/checkpoint-format.md.
//
// The thread alone writes to the backup root (backup_root.h): its pools, pending directories and
// trash; it only reads the run's pools, which are the saver's. While it writes it holds a lock of
// the root's own, so that the root may be unmounted between two copies. Owns its thread and two
// transfer buffers; keeps nothing of the RunDirectory but its paths, identity and file system.
// Public calls: any thread.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/result.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/retention.h"
#include "checkpoint/run_directory.h"
#include "checkpoint/transfer_buffers.h"

namespace holdfast::checkpoint {

struct BackupStatus {
    std::int64_t copied = 0;
    std::int64_t skipped = 0;    // overtaken by a newer one before their copy began
    std::int64_t failed = 0;     // attempts; the entry is tried again with the next offer
    std::int64_t abandoned = 0;  // the source was damaged, or gone
    bool busy = false;           // a copy is under way
    double seconds_behind = 0;   // how long something has been waiting to be copied; 0: nothing is
    std::string newest;          // "backup/rolling/step_00000500"; empty: there is none
};

class BackupWriter {
public:
    // Starts the thread, which first claims the root, clears what a crash left there, and copies
    // the newest rolling and best entries of the run where they have no copy yet. Does not wait.
    BackupWriter(const RunDirectory& run, const RetentionLimits& limits);
    // Abandons what waits and what is being copied; finish() first.
    ~BackupWriter();
    BackupWriter(const BackupWriter&) = delete;
    BackupWriter& operator=(const BackupWriter&) = delete;
    BackupWriter(BackupWriter&&) = delete;
    BackupWriter& operator=(BackupWriter&&) = delete;

    // An entry of the rolling or the best pool was published; of other pools nothing is copied.
    // Never waits for the disk.
    void offer(const PublishedCheckpoint& checkpoint);

    // Waits until nothing is being copied and nothing waits but what has failed.
    void wait();
    // The end of the run: what waits, failed ones too, is copied, for at most `seconds_max` (empty:
    // as long as it takes). True when every copy is made; otherwise says in the log what is
    // missing. Nothing is copied after.
    bool finish(std::optional<double> seconds_max);

    [[nodiscard]] BackupStatus status() const;

private:
    static constexpr std::size_t kKinds = kBackupPools.size();

    void work();
    void begin();
    void offer_what_is_missing(Pool pool, std::size_t kind);
    [[nodiscard]] base::Status may_go_on() const;
    [[nodiscard]] bool is_there(const PublishedCheckpoint& source, Pool pool) const;
    base::Status copy(const PublishedCheckpoint& source, Pool pool);
    base::Status enter_root(std::uint64_t bytes);
    [[nodiscard]] base::Status check_room(std::uint64_t bytes) const;
    void tidy();
    void settle(PublishedCheckpoint source, std::size_t kind, const base::Status& copied);
    [[nodiscard]] bool anything_waits() const;
    [[nodiscard]] bool is_idle() const;

    fs::FileSystem& file_system_;
    const RunPaths paths_;
    const RunIdentity identity_;
    const RetentionLimits limits_;
    // Of the thread alone:
    TransferBuffers buffers_;
    bool claimed_ = false;
    std::optional<RunLock> root_lock_;  // of the root, while it is written to

    std::atomic<bool> stopping_ = false;
    mutable std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    std::array<std::optional<PublishedCheckpoint>, kKinds> waiting_;  // as kBackupPools
    bool offered_ = false;  // something has come since the thread looked last
    bool busy_ = true;
    std::optional<double> behind_since_seconds_;
    std::int64_t failures_in_a_row_ = 0;
    BackupStatus status_;

    std::thread thread_;  // started when everything else is there
};

}  // namespace holdfast::checkpoint
