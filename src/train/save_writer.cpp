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
#include "train/rank_part_writer.h"

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
    const bool is_told =
        options_.parts != nullptr &&
        options_.parts->tell({PartOrderKind::kScan, options_.parts->ticket(), ""}).ok();
    std::string poison = state::poison_in_words(snapshot_);
    if (is_told) {
        // A rank that does not answer fails the save that follows.
        const Result<std::vector<PartAnswer>> answers = options_.parts->collect();
        for (const PartAnswer& answer :
             answers.ok() ? answers.value() : std::vector<PartAnswer>()) {
            if (poison.empty()) {
                poison = answer.poison;
            }
        }
    }
    return poison.empty() ? std::nullopt : std::optional(poison);
}

Status SaveWriter::write_files(checkpoint::PendingSave& pending) {
    const Status status =
        pending.add(checkpoint::kModelFileName, to_sources(snapshot_.model_tensors()));
    return status.ok() ? pending.add(checkpoint::optimizer_file_name(1, 1),
                                     to_sources(snapshot_.optimizer_tensors()))
                       : status;
}

Status SaveWriter::write_parts(checkpoint::PendingSave& pending) {
    const auto layout =
        pending.create_shared(checkpoint::kModelFileName, tensor_infos(snapshot_.model_tensors()));
    if (!layout.ok()) {
        return layout.error();
    }
    const std::string directory = path_for_all_ranks(pending.directory());
    const Status told = options_.parts->tell({.kind = PartOrderKind::kWrite,
                                              .ticket = options_.parts->ticket(),
                                              .directory = directory});
    if (!told.ok()) {
        return told;
    }
    Result<checkpoint::PartRecord> mine =
        write_rank_part(run_.file_system(),
                        pending.directory(),
                        {.rank = 0, .ranks = options_.parts->ranks()},
                        snapshot_,
                        buffers_);
    Result<std::vector<PartAnswer>> answers = options_.parts->collect();
    if (!mine.ok()) {
        return mine.error();
    }
    if (!answers.ok()) {
        return answers.error();
    }
    std::vector<checkpoint::PartRecord> parts = {std::move(mine).value()};
    for (PartAnswer& answer : answers.value()) {
        parts.push_back(std::move(answer.record));
    }
    return pending.adopt(parts);
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
        // Three numbers for each weight, whoever writes them.
        bytes_expected_ = sizeof(std::int64_t);
        for (const state::TensorBytes& tensor : snapshot_.model_tensors()) {
            bytes_expected_ += 3 * tensor.bytes.size();
        }
        Result<checkpoint::PendingSave> pending =
            run_.begin_save(manifest.identity.save_id, bytes_expected_, buffers_);
        if (!pending.ok()) {
            return pending.error();
        }
        Status status =
            options_.parts == nullptr ? write_files(pending.value()) : write_parts(pending.value());
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
