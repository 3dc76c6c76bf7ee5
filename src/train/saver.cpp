#include "train/saver.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/keep_schedule.h"

namespace holdfast::train {

namespace {

std::vector<checkpoint::TensorSource> to_sources(const std::vector<state::TensorBytes>& tensors) {
    std::vector<checkpoint::TensorSource> sources;
    sources.reserve(tensors.size());
    for (const state::TensorBytes& tensor : tensors) {
        sources.push_back({{tensor.name, tensor.dtype, tensor.shape}, tensor.bytes});
    }
    return sources;
}

}  // namespace

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;
using checkpoint::Pool;

Saver::Saver(checkpoint::RunDirectory& run,
             state::Snapshot& snapshot,
             telemetry::MetricsLog& metrics_log,
             const SaverOptions& options)
    : run_(run),
      snapshot_(snapshot),
      metrics_log_(metrics_log),
      options_(options),
      published_(options.resumed_from),
      last_good_step_(published_ ? published_->manifest.identity.step : -1) {
    if (published_) {
        last_published_ =
            SaveOutcome{last_good_step_,
                        std::nullopt,
                        checkpoint::RunPaths::relative(published_->pool, published_->name),
                        published_->path,
                        0.0};
    }
    thread_ = std::thread([this] { run_jobs(); });
}

Saver::~Saver() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

double Saver::in_flight_seconds() const {
    const std::lock_guard lock(mutex_);
    return snapshot_in_use_ ? base::monotonic_seconds() - in_flight_since_seconds_ : 0.0;
}

double Saver::save(const std::function<void()>& capture, SaveOrder order) {
    const double begin_seconds = base::monotonic_seconds();
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !snapshot_in_use_; });
        snapshot_in_use_ = true;
        in_flight_since_seconds_ = base::monotonic_seconds();
        last_good_step_ = order.manifest.identity.step;
    }
    capture();
    {
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back(std::move(order));
    }
    changed_.notify_all();
    return base::monotonic_seconds() - begin_seconds;
}

void Saver::link_last_save(checkpoint::Pool pool) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back(LinkOrder{pool});
    }
    changed_.notify_all();
}

std::optional<SaveOutcome> Saver::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return jobs_.empty() && !running_job_; });
    return last_outcome_;
}

std::int64_t Saver::last_good_step() const {
    const std::lock_guard lock(mutex_);
    return last_good_step_;
}

std::optional<SaveOutcome> Saver::last_published() const {
    const std::lock_guard lock(mutex_);
    return last_published_;
}

std::int64_t Saver::failed_saves() const {
    const std::lock_guard lock(mutex_);
    return failed_saves_;
}

void Saver::run_jobs() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
        if (jobs_.empty()) {
            return;
        }
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        running_job_ = true;
        lock.unlock();
        if (auto* order = std::get_if<SaveOrder>(&job)) {
            run_save(std::move(*order));
        } else {
            run_link(std::get<LinkOrder>(job).pool);
        }
        lock.lock();
        running_job_ = false;
        changed_.notify_all();
    }
}

void Saver::run_save(SaveOrder order) {
    const std::int64_t step = order.manifest.identity.step;
    const double begin_seconds = base::monotonic_seconds();
    published_.reset();
    // One of the two places where an exception ends: memory may run out while a header is built,
    // and a save that fails is no reason to lose the run.
    Result<checkpoint::PublishedCheckpoint> written = Error{ErrorKind::kIo, "not written", 0};
    try {
        written = write(order);
    } catch (const std::exception& failure) {
        written = Error{ErrorKind::kIo, failure.what(), 0};
    }
    const double seconds = base::monotonic_seconds() - begin_seconds;
    {
        const std::lock_guard lock(mutex_);
        snapshot_in_use_ = false;
    }
    changed_.notify_all();
    if (!written.ok()) {
        note_failure(step, written.error(), seconds);
        return;
    }
    published_ = std::move(written).value();
    const std::string label = checkpoint::RunPaths::relative(published_->pool, published_->name);
    {
        const std::lock_guard lock(mutex_);
        last_outcome_ = SaveOutcome{step, std::nullopt, label, published_->path, seconds};
        last_published_ = last_outcome_;
    }
    base::log_info("saved {} ({} in {}, verified)",
                   label,
                   base::bytes_in_words(published_->manifest.files_bytes()),
                   base::duration_in_words(seconds));
    tidy();
}

Result<checkpoint::PublishedCheckpoint> Saver::write(SaveOrder& order) {
    // The manifest will say how long the log is: those bytes must be on disk before it.
    const Status log_synced = metrics_log_.sync();
    if (!log_synced.ok()) {
        base::log_warning("{}; the checkpoint is saved all the same", log_synced.error().what);
    }
    order.manifest.identity.save_id = checkpoint::make_save_id();
    const bool is_scheduled = order.pool == Pool::kRolling || order.pool == Pool::kEpoch;
    if (is_scheduled &&
        checkpoint::keep_is_due(run_.scan(), order.manifest.identity.step, options_.keep_every)) {
        order.manifest.owed.push_back(Pool::kKeep);
    }
    const std::vector<checkpoint::TensorSource> model = to_sources(snapshot_.model_tensors());
    const std::vector<checkpoint::TensorSource> optimizer =
        to_sources(snapshot_.optimizer_tensors());
    std::uint64_t bytes_expected = 0;
    for (const auto* sources : {&model, &optimizer}) {
        for (const checkpoint::TensorSource& source : *sources) {
            bytes_expected += source.bytes.size();
        }
    }
    Result<checkpoint::PendingSave> pending =
        run_.begin_save(order.manifest.identity.save_id, bytes_expected, buffers_);
    if (!pending.ok()) {
        return pending.error();
    }
    Status status = pending.value().add(checkpoint::kModelFileName, model);
    if (status.ok()) {
        status = pending.value().add(checkpoint::optimizer_file_name(1, 1), optimizer);
    }
    if (status.ok()) {
        status = pending.value().seal(order.manifest);
    }
    if (!status.ok()) {
        return status.error();
    }
    return run_.publish(std::move(pending).value(), order.pool, buffers_);
}

void Saver::run_link(checkpoint::Pool pool) {
    if (!published_) {
        return;  // the save it belongs to failed and was shouted
    }
    const Result<checkpoint::PublishedCheckpoint> linked = run_.link(*published_, pool, buffers_);
    if (!linked.ok()) {
        note_failure(
            published_->manifest.identity.step,
            linked.error().within(fmt::format("joining the pool {}", checkpoint::to_string(pool))),
            0);
        return;
    }
    tidy();
}

void Saver::tidy() {
    const checkpoint::ReclaimReport report = run_.tidy(options_.limits, buffers_);
    for (const std::string& failure : report.failures) {
        base::log_alarm("{}; tried again after the next save", failure);
    }
    if (!report.deleted.empty()) {
        base::log_info("deleted {} ({} freed{})",
                       fmt::join(report.deleted, ", "),
                       base::bytes_in_words(report.freed_bytes),
                       report.held_bytes > 0 ? fmt::format(", {} still held by another pool",
                                                           base::bytes_in_words(report.held_bytes))
                                             : "");
    }
}

void Saver::note_failure(std::int64_t step, const Error& error, double seconds) {
    std::int64_t failed = 0;
    {
        const std::lock_guard lock(mutex_);
        failed = ++failed_saves_;
        last_good_step_ = last_published_ ? last_published_->step : -1;
        last_outcome_ = SaveOutcome{step, error, "", "", seconds};
    }
    base::log_alarm(
        "the save of step {} failed: {}; training goes on, older checkpoints are untouched "
        "({} failed so far)",
        step,
        error.what,
        failed);
}

}  // namespace holdfast::train
