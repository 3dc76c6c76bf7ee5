// One save from the snapshot to the store: streamed, verified, published, joined to its pools; then
// the deletions that retention plans. No thread of its own: the saver's calls it.
//
// Owns the transfer buffers; borrows the rest, which must outlive it. Every call blocks on the
// disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/retention.h"
#include "checkpoint/run_directory.h"
#include "checkpoint/transfer_buffers.h"
#include "state/snapshot.h"
#include "telemetry/disk_monitor.h"
#include "telemetry/metrics_log.h"
#include "train/part_collector.h"
#include "train/save_order.h"

namespace holdfast::train {

struct SaveWriterOptions {
    checkpoint::RetentionLimits limits;
    // Steps; 0: off. The first rolling or epoch save at or after each multiple joins `keep`.
    std::int64_t keep_every = 0;
    telemetry::DiskMonitor* disk_monitor = nullptr;  // asked after every tenth save; null: none
    PartCollector* parts = nullptr;                  // of the other ranks; null: there are none
};

class SaveWriter {
public:
    SaveWriter(checkpoint::RunDirectory& run,
               state::Snapshot& snapshot,
               telemetry::MetricsLog& metrics_log,
               const SaveWriterOptions& options);

    // The first number of the snapshot (of any rank's) that is not finite, in words; nothing when
    // all are.
    std::optional<std::string> find_poison();

    // Writes and publishes the snapshot as `order` says. What fails is tried once more at once,
    // from memory under another save id (a file whose sync failed is never believed), after the
    // remedy there is: a directory that was deleted is made again, on a full disk what may go goes.
    // On error nothing of it is left.
    base::Result<checkpoint::PublishedCheckpoint> write(const SaveOrder& order);

    // A published checkpoint joins `pool`.
    base::Result<checkpoint::PublishedCheckpoint> link(
        const checkpoint::PublishedCheckpoint& checkpoint, checkpoint::Pool pool);

    // After a save: owed pools, leftovers, deletions, and a look at the disk; told in the log.
    void tidy_after_save();
    // The same after a link, without the look.
    void tidy();

    // Whether the run directory is still the one that was opened; kOk after it was deleted and made
    // again, which sets `made_again`.
    base::Status look_at_directory(bool& made_again);

private:
    base::Result<checkpoint::PublishedCheckpoint> write_once(const SaveOrder& order);
    // The files of a checkpoint, by this process alone or by all ranks.
    base::Status write_files(checkpoint::PendingSave& pending);
    base::Status write_parts(checkpoint::PendingSave& pending);
    void make_room();
    checkpoint::ReclaimReport carry_out_deletions();
    void tell_deletions(const checkpoint::ReclaimReport& report, std::string_view why);

    checkpoint::RunDirectory& run_;
    state::Snapshot& snapshot_;
    telemetry::MetricsLog& metrics_log_;
    SaveWriterOptions options_;
    checkpoint::TransferBuffers buffers_;
    std::uint64_t bytes_expected_ = 0;  // of a checkpoint; known from the first try on
    std::int64_t saves_ = 0;
};

}  // namespace holdfast::train
