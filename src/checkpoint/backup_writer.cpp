#include "checkpoint/backup_writer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread_priority.h"
#include "base/words.h"
#include "checkpoint/backup_root.h"
#include "checkpoint/pool_link.h"
#include "checkpoint/reclaim.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Of failures in a row the first is shouted, then each tenth.
constexpr std::int64_t kShoutEvery = 10;

Pool source_pool(std::size_t kind) {
    return kBackupPools.at(kind) == Pool::kBackupBest ? Pool::kBest : Pool::kRolling;
}

std::string label_of(const PublishedCheckpoint& checkpoint) {
    return RunPaths::relative(checkpoint.pool, checkpoint.name);
}

// A thread has nobody to throw to, and memory that runs out while a manifest is read is no reason
// to lose the run.
// No std::function: to make one may take memory, outside of what is guarded.
template <typename Work>
Status guarded(const Work& work) {
    try {
        return work();
    } catch (const std::exception& failure) {
        return Error{ErrorKind::kIo, failure.what(), 0};
    }
}

// The newest entry in one pool, null when it has none.
const Entry* newest_in(const Catalog& catalog, Pool pool) {
    const Entry* newest = nullptr;
    for (const Entry& entry : catalog.entries) {
        if (entry.pool == pool && entry.usable()) {
            newest = &entry;  // sorted: oldest first
        }
    }
    return newest;
}

}  // namespace

BackupWriter::BackupWriter(const RunDirectory& run, const RetentionLimits& limits)
    : file_system_(run.file_system()),
      paths_(run.paths()),
      identity_(run.identity()),
      limits_(limits) {
    thread_ = std::thread([this] { work(); });
}

BackupWriter::~BackupWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void BackupWriter::offer(const PublishedCheckpoint& checkpoint) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
        if (source_pool(kind) != checkpoint.pool) {
            continue;
        }
        const std::lock_guard lock(mutex_);
        status_.skipped += waiting_.at(kind) ? 1 : 0;
        waiting_.at(kind) = checkpoint;
        offered_ = true;
        behind_since_seconds_ = behind_since_seconds_.value_or(base::monotonic_seconds());
    }
    changed_.notify_all();
}

bool BackupWriter::anything_waits() const {
    return std::any_of(
        waiting_.begin(), waiting_.end(), [](const auto& slot) { return slot.has_value(); });
}

bool BackupWriter::is_idle() const {
    return !busy_ && (stopping_ || !offered_ || !anything_waits());
}

void BackupWriter::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_idle(); });
}

bool BackupWriter::finish(std::optional<double> seconds_max) {
    std::unique_lock lock(mutex_);
    offered_ = true;
    changed_.notify_all();
    const auto idle = [this] { return is_idle(); };
    if (!seconds_max) {
        changed_.wait(lock, idle);
    }
    const bool in_time =
        changed_.wait_for(lock, std::chrono::duration<double>(seconds_max.value_or(0)), idle);
    const bool complete = in_time && !anything_waits();
    if (!complete) {
        base::log_alarm("the second copies are not complete: {}; {}",
                        in_time ? "the last attempt failed" : "there was no time left to make them",
                        status_.newest.empty() ? "there is none of this run"
                                               : "the newest is " + status_.newest);
    }
    stopping_ = true;
    lock.unlock();
    changed_.notify_all();
    return complete;
}

BackupStatus BackupWriter::status() const {
    const std::lock_guard lock(mutex_);
    BackupStatus status = status_;
    status.busy = busy_;
    if (behind_since_seconds_) {
        status.seconds_behind = base::monotonic_seconds() - *behind_since_seconds_;
    }
    return status;
}

void BackupWriter::work() {
    base::yield_to_other_threads();
    const Status begun = guarded([this] {
        begin();
        return Status{};
    });
    root_lock_.reset();
    if (!begun.ok()) {
        base::log_alarm("the second copies of this run could not be looked at: {}",
                        begun.error().what);
    }
    std::unique_lock lock(mutex_);
    while (true) {
        busy_ = false;
        changed_.notify_all();
        changed_.wait(lock, [this] { return stopping_ || (offered_ && anything_waits()); });
        if (stopping_) {
            return;
        }
        busy_ = true;
        offered_ = false;
        for (std::size_t kind = 0; kind < kKinds && !stopping_; ++kind) {
            if (!waiting_.at(kind)) {
                continue;
            }
            PublishedCheckpoint source = *std::exchange(waiting_.at(kind), std::nullopt);
            lock.unlock();
            const Status copied = guarded([&] { return copy(source, kBackupPools.at(kind)); });
            root_lock_.reset();
            // An offer that is lost for want of memory is made up for by the next one.
            static_cast<void>(guarded([&] {
                                  settle(std::move(source), kind, copied);
                                  return Status{};
                              }).ok());
            lock.lock();
        }
        if (!anything_waits()) {
            behind_since_seconds_.reset();
        }
    }
}

void BackupWriter::begin() {
    if (const Status ready = enter_root(0); !ready.ok()) {
        base::log_alarm("no second copies can be made: {}; tried again with each save",
                        ready.error().what);
        const std::lock_guard lock(mutex_);
        ++failures_in_a_row_;
        return;
    }
    tidy();
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
        offer_what_is_missing(kBackupPools.at(kind), kind);
    }
}

void BackupWriter::offer_what_is_missing(Pool pool, std::size_t kind) {
    const Catalog catalog = scan_pools(file_system_, paths_, identity_.run_id);
    const Entry* newest = newest_in(catalog, source_pool(kind));
    const Entry* copy = newest_in(catalog, pool);
    const std::lock_guard lock(mutex_);
    if (copy != nullptr && pool == Pool::kBackupRolling) {
        status_.newest = copy->label();
    }
    if (newest == nullptr ||
        (copy != nullptr && copy->manifest.identity == newest->manifest.identity)) {
        return;
    }
    if (!waiting_.at(kind)) {  // else a newer one has been offered meanwhile
        waiting_.at(kind) =
            PublishedCheckpoint{newest->pool, newest->name, newest->path, newest->manifest};
        offered_ = true;
        behind_since_seconds_ = behind_since_seconds_.value_or(base::monotonic_seconds());
    }
}

// Whose root it is, whether it has room, and the lock of it.
Status BackupWriter::enter_root(std::uint64_t bytes) {
    // A root elsewhere is made once; one that is gone later is a disk that is gone.
    const bool may_claim = !claimed_ || paths_.backup_is_inside();
    const Status ours = may_claim ? claim_backup_root(file_system_, paths_, identity_)
                                  : check_backup_root(file_system_, paths_, identity_.run_id);
    if (!ours.ok()) {
        return ours;
    }
    claimed_ = true;
    if (Status room = check_room(bytes); !room.ok()) {
        return room;
    }
    // Where there are no locks the mark alone tells other runs.
    Result<RunLock> lock = RunLock::take(file_system_, RunPaths::of(paths_.backup_directory), true);
    if (!lock.ok()) {
        return lock.error();
    }
    root_lock_ = std::move(lock).value();
    return Status{};
}

Status BackupWriter::check_room(std::uint64_t bytes) const {
    if (bytes == 0) {
        return Status{};
    }
    const Result<fs::SpaceStatus> space = file_system_.space(paths_.backup_directory);
    if (!space.ok()) {
        return space.error();
    }
    // On the disk of the run itself a copy must not take the room of the next save.
    const bool is_inside = paths_.backup_is_inside();
    const std::uint64_t needed = (bytes + kSpaceMarginBytes) * (is_inside ? 2 : 1);
    if (space.value().available_bytes >= needed) {
        return Status{};
    }
    return Error{ErrorKind::kNoSpace,
                 fmt::format("a second copy{} needs {} in {}, {} is free: make room, or set "
                             "checkpoint.backup = off",
                             is_inside ? " beside the next save" : "",
                             base::bytes_in_words(needed),
                             paths_.backup_directory,
                             base::bytes_in_words(space.value().available_bytes)),
                 ENOSPC};
}

Status BackupWriter::may_go_on() const {
    return stopping_ ? Status(Error{ErrorKind::kBusy, "the run ends", 0})
                     : root_lock_->still_held();
}

// A best that was evaluated again after a resume is offered again.
bool BackupWriter::is_there(const PublishedCheckpoint& source, Pool pool) const {
    const Catalog catalog = scan_pools(file_system_, paths_, identity_.run_id, kBackupPools);
    return std::any_of(catalog.entries.begin(), catalog.entries.end(), [&](const Entry& entry) {
        return entry.pool == pool && entry.usable() &&
               entry.manifest.identity == source.manifest.identity;
    });
}

Status BackupWriter::copy(const PublishedCheckpoint& source, Pool pool) {
    const double begin_seconds = base::monotonic_seconds();
    if (Status ready = enter_root(source.manifest.files_bytes()); !ready.ok()) {
        return ready;
    }
    if (is_there(source, pool)) {
        return Status{};
    }
    const Result<PublishedCheckpoint> copied = link_into(file_system_,
                                                         paths_,
                                                         source.path,
                                                         source.manifest,
                                                         pool,
                                                         buffers_,
                                                         Sharing::kCopies,
                                                         [this] { return may_go_on(); });
    if (!copied.ok()) {
        return copied.error();
    }
    const std::string label = label_of(copied.value());
    base::log_info("copied {} to {} ({} in {}, verified)",
                   label_of(source),
                   label,
                   base::bytes_in_words(source.manifest.files_bytes()),
                   base::duration_in_words(base::monotonic_seconds() - begin_seconds));
    {
        const std::lock_guard lock(mutex_);
        ++status_.copied;
        status_.newest = pool == Pool::kBackupRolling ? label : status_.newest;
    }
    tidy();
    return Status{};
}

void BackupWriter::tidy() {
    if (!root_lock_->still_held().ok()) {
        return;  // told when it is to take a copy
    }
    Reclaimer reclaimer(file_system_, paths_);
    ReclaimReport report = reclaimer.clear_leftovers({}, Pool::kBackupRolling);
    report.merge(reclaimer.execute(
        plan_deletions(scan_pools(file_system_, paths_, identity_.run_id, kBackupPools), limits_)));
    for (const std::string& failure : report.failures) {
        base::log_alarm("{}; tried again after the next copy", failure);
    }
    if (!report.deleted.empty()) {
        base::log_info("deleted {} ({} freed)",
                       fmt::join(report.deleted, ", "),
                       base::bytes_in_words(report.freed_bytes));
    }
}

void BackupWriter::settle(PublishedCheckpoint source, std::size_t kind, const Status& copied) {
    if (copied.ok()) {
        const std::lock_guard lock(mutex_);
        failures_in_a_row_ = 0;
        return;
    }
    if (stopping_) {
        return;  // finish() has told what is missing
    }
    const std::string label = label_of(source);
    const ErrorKind error = copied.error().kind;
    const Result<bool> there = fs::exists(file_system_, source.path);
    const bool is_gone = error == ErrorKind::kNotFound && there.ok() && !there.value();
    if (error == ErrorKind::kCorrupt || is_gone) {
        {
            const std::lock_guard lock(mutex_);
            ++status_.abandoned;
        }
        base::log_alarm(
            "no second copy of {}: {}; the next one is copied again", label, copied.error().what);
        return;
    }
    bool is_shouted = false;
    std::int64_t failed = 0;
    {
        const std::lock_guard lock(mutex_);
        failed = ++status_.failed;
        is_shouted = failures_in_a_row_++ % kShoutEvery == 0;
        status_.skipped += waiting_.at(kind) ? 1 : 0;
        if (!waiting_.at(kind)) {
            waiting_.at(kind) = std::move(source);
        }
    }
    if (is_shouted) {
        base::log_alarm(
            "no second copy of {}: {}; tried again with the next save ({} failed so far)",
            label,
            copied.error().what,
            failed);
    }
}

}  // namespace holdfast::checkpoint
