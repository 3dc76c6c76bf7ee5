#include "train/save_writer.h"

#include <exception>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "base/words.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/keep_schedule.h"
#include "checkpoint/red_flags.h"
#include "state/finite_scan.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;
using checkpoint::Pool;

namespace {

constexpr std::int64_t kSavesBetweenLooks = 10;

std::vector<checkpoint::TensorSource> to_sources(const std::vector<state::TensorBytes>& tensors) {
    std::vector<checkpoint::TensorSource> sources;
    sources.reserve(tensors.size());
    for (const state::TensorBytes& tensor : tensors) {
        sources.push_back({{tensor.name, tensor.dtype, tensor.shape}, tensor.bytes});
    }
    return sources;
}

}  // namespace

SaveWriter::SaveWriter(checkpoint::RunDirectory& run,
                       state::Snapshot& snapshot,
                       telemetry::MetricsLog& metrics_log,
                       const SaveWriterOptions& options)
    : run_(run), snapshot_(snapshot), metrics_log_(metrics_log), options_(options) {}

std::optional<std::string> SaveWriter::find_poison() {
    for (const auto& tensors : {snapshot_.model_tensors(), snapshot_.optimizer_tensors()}) {
        if (const auto found = state::find_non_finite(tensors)) {
            return fmt::format("{} is {} at element {}", found->tensor, found->value, found->index);
        }
    }
    return std::nullopt;
}

Result<checkpoint::PublishedCheckpoint> SaveWriter::write(const SaveOrder& order) {
    std::optional<Error> first_error;
    while (true) {
        // Before the log is synced: nothing may be written into a directory that is not this run's.
        bool made_again = false;
        if (const Status there = look_at_directory(made_again); !there.ok()) {
            return there.error();
        }
        Result<checkpoint::PublishedCheckpoint> written = write_once(order);
        if (written.ok() && first_error) {
            base::log_warning("the save of step {} needed a second try: {}",
                              order.manifest.identity.step,
                              first_error->what);
        }
        if (written.ok() || first_error) {
            return written;
        }
        first_error = written.error();
        if (first_error->kind == ErrorKind::kNoSpace) {
            make_room();
        }
    }
}

Result<checkpoint::PublishedCheckpoint> SaveWriter::write_once(const SaveOrder& order) {
    // One of the two places where an exception ends: memory may run out while a header is built,
    // and a save that fails is no reason to lose the run.
    try {
        // The manifest will say how long the log is: those bytes must be on disk before it.
        const Status log_synced = metrics_log_.sync();
        if (!log_synced.ok()) {
            base::log_warning("{}; the checkpoint is saved all the same", log_synced.error().what);
        }
        checkpoint::Manifest manifest = order.manifest;
        manifest.identity.save_id = checkpoint::make_save_id();
        const bool is_scheduled = order.pool == Pool::kRolling || order.pool == Pool::kEpoch;
        if (is_scheduled &&
            checkpoint::keep_is_due(run_.scan(), manifest.identity.step, options_.keep_every)) {
            manifest.owed.push_back(Pool::kKeep);
        }
        const std::vector<checkpoint::TensorSource> model = to_sources(snapshot_.model_tensors());
        const std::vector<checkpoint::TensorSource> optimizer =
            to_sources(snapshot_.optimizer_tensors());
        bytes_expected_ = 0;
        for (const auto* sources : {&model, &optimizer}) {
            for (const checkpoint::TensorSource& source : *sources) {
                bytes_expected_ += source.bytes.size();
            }
        }
        Result<checkpoint::PendingSave> pending =
            run_.begin_save(manifest.identity.save_id, bytes_expected_, buffers_);
        if (!pending.ok()) {
            return pending.error();
        }
        Status status = pending.value().add(checkpoint::kModelFileName, model);
        if (status.ok()) {
            status = pending.value().add(checkpoint::optimizer_file_name(1, 1), optimizer);
        }
        if (status.ok()) {
            status = pending.value().seal(std::move(manifest));
        }
        if (!status.ok()) {
            return status.error();
        }
        return run_.publish(std::move(pending).value(), order.pool, buffers_);
    } catch (const std::exception& failure) {
        return Error{ErrorKind::kIo, failure.what(), 0};
    }
}

Result<checkpoint::PublishedCheckpoint> SaveWriter::link(
    const checkpoint::PublishedCheckpoint& checkpoint, Pool pool) {
    return run_.link(checkpoint, pool, buffers_);
}

void SaveWriter::make_room() {
    const checkpoint::RoomReport room =
        run_.make_room(bytes_expected_ + checkpoint::kSpaceMarginBytes);
    tell_deletions(room.reclaimed, "to make room for a save, ");
    for (const std::string& failure : room.reclaimed.failures) {
        base::log_alarm("{}", failure);
    }
}

checkpoint::ReclaimReport SaveWriter::carry_out_deletions() {
    checkpoint::ReclaimReport report = run_.tidy(options_.limits, buffers_);
    tell_deletions(report, "");
    return report;
}

void SaveWriter::tidy() {
    for (const std::string& failure : carry_out_deletions().failures) {
        base::log_alarm("{}; tried again after the next save", failure);
    }
}

void SaveWriter::tidy_after_save() {
    const checkpoint::ReclaimReport report = carry_out_deletions();
    // The second copies are the backup writer's, who may be about to delete one.
    const checkpoint::Catalog catalog = checkpoint::scan_pools(
        run_.file_system(), run_.paths(), run_.identity().run_id, checkpoint::kRunPools);
    for (const std::string& flag : checkpoint::red_flags(catalog, options_.limits, report)) {
        base::log_alarm("{}", flag);
    }
    if (++saves_ % kSavesBetweenLooks == 0 && options_.disk_monitor != nullptr) {
        options_.disk_monitor->look();
    }
}

void SaveWriter::tell_deletions(const checkpoint::ReclaimReport& report, std::string_view why) {
    if (report.deleted.empty()) {
        return;
    }
    const Result<fs::SpaceStatus> space = run_.file_system().space(run_.paths().directory);
    base::log_info("{}deleted {} ({} freed{}{})",
                   why,
                   fmt::join(report.deleted, ", "),
                   base::bytes_in_words(report.freed_bytes),
                   report.held_bytes > 0 ? fmt::format(", {} still held by another pool",
                                                       base::bytes_in_words(report.held_bytes))
                                         : "",
                   space.ok() ? fmt::format("; {} of the disk free",
                                            base::bytes_in_words(space.value().available_bytes))
                              : "");
}

Status SaveWriter::look_at_directory(bool& made_again) {
    const Result<bool> there = run_.ensure_there();
    made_again = there.ok() && there.value();
    return there.ok() ? Status{} : Status(there.error());
}

}  // namespace holdfast::train
