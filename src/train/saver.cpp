#include "train/saver.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"

namespace holdfast::train {

using base::Error;
using base::Result;
using base::Status;
using checkpoint::Pool;

namespace {

// How often a caller that waits looks whether it shall give up.
constexpr std::chrono::milliseconds kPoll{20};

// What a newer save that takes the place of `waiting` must still do for it.
void inherit_pools(const SaveOrder& waiting, SaveOrder& order) {
    // An epoch is kept for ever: late is better than never. The other pools have a next time.
    std::vector<Pool> pools = waiting.manifest.owed;
    pools.push_back(waiting.pool);
    std::vector<Pool>& owed = order.manifest.owed;
    const bool wanted = std::find(pools.begin(), pools.end(), Pool::kEpoch) != pools.end();
    const bool there = order.pool == Pool::kEpoch ||
                       std::find(owed.begin(), owed.end(), Pool::kEpoch) != owed.end();
    if (wanted && !there) {
        owed.push_back(Pool::kEpoch);
    }
}

}  // namespace

namespace {

// A thread has nobody to throw to, and memory that runs out beside a save is no reason to lose the
// run. No std::function: to make one may take memory, outside of what is guarded.
template <typename Work>
void guarded(const Work& work) {
    try {
        try {
            work();
        } catch (const std::exception& failure) {
            base::log_alarm("beside training: {}; tried again later", failure.what());
        }
    } catch (const std::bad_alloc&) {
        // What has no memory has no words either.
        return;
    }
}

}  // namespace

Saver::Saver(checkpoint::RunDirectory& run,
             state::Snapshot& snapshot,
             telemetry::MetricsLog& metrics_log,
             const SaverOptions& options)
    : options_(options),
      writer_(run, snapshot, metrics_log, options.writer),
      published_(options.resumed_from),
      newest_step_(published_ ? published_->manifest.identity.step : -1),
      last_good_step_(newest_step_) {
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

bool Saver::snapshot_is_in_use() const {
    const std::lock_guard lock(mutex_);
    return snapshot_in_use_;
}

std::optional<double> Saver::save(const std::function<void()>& capture,
                                  SaveOrder order,
                                  const std::function<bool()>& give_up) {
    const double begin_seconds = base::monotonic_seconds();
    {
        std::unique_lock lock(mutex_);
        while (!changed_.wait_for(lock, kPoll, [this] { return !snapshot_in_use_; })) {
            if (give_up && give_up()) {
                return std::nullopt;
            }
        }
        if (waiting_) {
            base::log_alarm("the save of step {} is given up for the one of step {}",
                            waiting_->order.manifest.identity.step,
                            order.manifest.identity.step);
            inherit_pools(waiting_->order, order);
            waiting_.reset();
        }
        snapshot_in_use_ = true;
        in_flight_since_seconds_ = base::monotonic_seconds();
        newest_step_ = order.manifest.identity.step;
        last_good_step_ = newest_step_;
    }
    try {
        capture();
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back(std::move(order));
    } catch (...) {
        // Passed on: memory ran out. Nobody may take this step for saved, or wait for it.
        forget_newest();
        throw;
    }
    changed_.notify_all();
    return base::monotonic_seconds() - begin_seconds;
}

void Saver::forget_newest() {
    {
        const std::lock_guard lock(mutex_);
        snapshot_in_use_ = false;
        last_good_step_ = last_published_ ? last_published_->step : -1;
        newest_step_ = last_good_step_;
    }
    changed_.notify_all();
}

void Saver::link_last_save(Pool pool) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back(LinkOrder{pool});
    }
    changed_.notify_all();
}

bool Saver::settle(double deadline_seconds) {
    std::unique_lock lock(mutex_);
    const auto settled = [this] { return jobs_.empty() && !running_job_; };
    while (!changed_.wait_for(lock, kPoll, settled)) {
        if (base::monotonic_seconds() >= deadline_seconds) {
            return false;
        }
    }
    return true;
}

bool Saver::wait_published(double deadline_seconds) {
    std::unique_lock lock(mutex_);
    const auto published = [this] { return jobs_.empty() && !running_job_ && !waiting_; };
    while (!changed_.wait_for(lock, kPoll, published)) {
        if (base::monotonic_seconds() >= deadline_seconds) {
            return false;
        }
    }
    return true;
}

std::optional<SaveOutcome> Saver::last_outcome() const {
    const std::lock_guard lock(mutex_);
    return last_outcome_;
}

std::int64_t Saver::newest_step() const {
    const std::lock_guard lock(mutex_);
    return newest_step_;
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

double Saver::expected_write_seconds() const {
    const std::lock_guard lock(mutex_);
    return longest_write_seconds_;
}

std::optional<std::string> Saver::poison() const {
    const std::lock_guard lock(mutex_);
    return poison_;
}

bool Saver::take_save_wanted() {
    const std::lock_guard lock(mutex_);
    return std::exchange(save_wanted_, false);
}

void Saver::run_jobs() {
    const auto retry = std::chrono::duration<double>(options_.retry_seconds);
    std::unique_lock lock(mutex_);
    while (true) {
        const bool called =
            changed_.wait_for(lock, retry, [this] { return ending_ || !jobs_.empty(); });
        if (!called) {
            lock.unlock();
            guarded([this] { look_around(); });
            lock.lock();
            continue;
        }
        if (jobs_.empty()) {
            return;
        }
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        running_job_ = true;
        lock.unlock();
        if (auto* order = std::get_if<SaveOrder>(&job)) {
            run_save(std::move(*order), 0);
        } else {
            guarded([&] { run_link(std::get<LinkOrder>(job).pool); });
        }
        lock.lock();
        running_job_ = false;
        changed_.notify_all();
    }
}

void Saver::look_around() {
    watch_directory();
    std::optional<WaitingSave> again;
    {
        const std::lock_guard lock(mutex_);
        // A caller of save() that is capturing has taken the place of what waited.
        again = std::exchange(waiting_, std::nullopt);
        if (again) {
            running_job_ = true;
            snapshot_in_use_ = true;
            in_flight_since_seconds_ = base::monotonic_seconds();
            last_good_step_ = again->order.manifest.identity.step;
        }
    }
    if (!again) {
        retry_links();
        return;
    }
    run_save(std::move(again->order), again->failures);
    {
        const std::lock_guard lock(mutex_);
        running_job_ = false;
    }
    changed_.notify_all();
}

void Saver::watch_directory() {
    bool made_again = false;
    const Status there = writer_.look_at_directory(made_again);
    if (made_again) {
        const std::lock_guard lock(mutex_);
        save_wanted_ = true;
    }
    if (!there.ok() && (!directory_is_lost_ || reminder_is_due())) {
        base::log_alarm("{}; training goes on, and it is looked for again every {}",
                        there.error().what,
                        base::duration_in_words(options_.retry_seconds));
    } else if (there.ok() && directory_is_lost_ && !made_again) {
        base::log_info("the run directory is there again");
        const std::lock_guard lock(mutex_);
        save_wanted_ = true;
    }
    directory_is_lost_ = !there.ok();
}

bool Saver::reminder_is_due() {
    const double now = base::monotonic_seconds();
    if (now - reminded_seconds_ < options_.reminder_seconds) {
        return false;
    }
    reminded_seconds_ = now;
    return true;
}

void Saver::run_save(SaveOrder order, std::int64_t failures_before) {
    const double begin_seconds = base::monotonic_seconds();
    guarded([&] {
        try {
            write_and_tell(order, failures_before);
        } catch (const std::exception& failure) {
            if (!snapshot_is_in_use()) {
                throw;  // the outcome is known: what failed came after it
            }
            note_failure(std::move(order),
                         failures_before,
                         Error{base::ErrorKind::kIo, failure.what(), 0},
                         base::monotonic_seconds() - begin_seconds);
        }
    });
}

// The order is moved from when the save fails.
void Saver::write_and_tell(SaveOrder& order, std::int64_t failures_before) {
    const std::int64_t step = order.manifest.identity.step;
    const double begin_seconds = base::monotonic_seconds();
    published_.reset();
    if (failures_before == 0) {
        if (const auto poison = writer_.find_poison()) {
            note_poison(step, *poison);
            return;
        }
    }
    Result<checkpoint::PublishedCheckpoint> written = writer_.write(order);
    const double seconds = base::monotonic_seconds() - begin_seconds;
    if (!written.ok()) {
        note_failure(std::move(order), failures_before, written.error(), seconds);
        return;
    }
    published_ = std::move(written).value();
    note_published(order, failures_before, seconds);
    offer_copy(*published_);
    retry_links();
    writer_.tidy_after_save();
}

void Saver::note_published(const SaveOrder& order, std::int64_t failures_before, double seconds) {
    const std::int64_t step = order.manifest.identity.step;
    const std::string label = checkpoint::RunPaths::relative(published_->pool, published_->name);
    {
        const std::lock_guard lock(mutex_);
        snapshot_in_use_ = false;
        last_outcome_ = SaveOutcome{step, std::nullopt, label, published_->path, seconds};
        last_published_ = last_outcome_;
        longest_write_seconds_ = std::max(longest_write_seconds_, seconds);
    }
    changed_.notify_all();
    base::log_info(
        "saved {} ({} in {}, verified{})",
        label,
        base::bytes_in_words(published_->manifest.files_bytes()),
        base::duration_in_words(seconds),
        failures_before > 0 ? fmt::format("; {} tries had failed", failures_before) : "");
}

void Saver::note_failure(SaveOrder order,
                         std::int64_t failures_before,
                         const Error& error,
                         double seconds) {
    const std::int64_t step = order.manifest.identity.step;
    const bool is_first = failures_before == 0;
    const bool tells = !order.caller_tells;
    std::int64_t failed = 0;
    {
        const std::lock_guard lock(mutex_);
        failed_saves_ += is_first ? 1 : 0;
        failed = failed_saves_;
        last_good_step_ = last_published_ ? last_published_->step : -1;
        last_outcome_ = SaveOutcome{step, error, "", "", seconds};
        waiting_ = WaitingSave{std::move(order), failures_before + 1};
        snapshot_in_use_ = false;
    }
    changed_.notify_all();
    if (tells && (is_first || reminder_is_due())) {
        reminded_seconds_ = base::monotonic_seconds();
        base::log_alarm(
            "the save of step {} failed: {}; training goes on, older checkpoints are untouched, it "
            "is tried again every {} ({} failed so far)",
            step,
            error.what,
            base::duration_in_words(options_.retry_seconds),
            failed);
    }
}

void Saver::note_poison(std::int64_t step, const std::string& where) {
    {
        const std::lock_guard lock(mutex_);
        poison_ = where;
        last_good_step_ = last_published_ ? last_published_->step : -1;
        last_outcome_ =
            SaveOutcome{step,
                        Error{base::ErrorKind::kInvalid, "the state is not finite: " + where, 0},
                        "",
                        "",
                        0};
        snapshot_in_use_ = false;
    }
    changed_.notify_all();
    base::log_alarm(
        "the state of step {} is not saved: {}; a checkpoint of it would be no place to go on from",
        step,
        where);
}

void Saver::offer_copy(const checkpoint::PublishedCheckpoint& checkpoint) {
    if (options_.backup != nullptr) {
        options_.backup->offer(checkpoint);
    }
}

void Saver::run_link(Pool pool) {
    if (published_) {
        waiting_links_.push_back({*published_, pool});
        retry_links();
        writer_.tidy();
        return;
    }
    const std::lock_guard lock(mutex_);
    if (waiting_) {
        waiting_->order.manifest.owed.push_back(pool);
    }
}

void Saver::retry_links() {
    std::vector<WaitingLink> failed;
    for (WaitingLink& waiting : std::exchange(waiting_links_, {})) {
        const auto linked = writer_.link(waiting.checkpoint, waiting.pool);
        if (linked.ok()) {
            offer_copy(linked.value());
        }
        if (linked.ok() || linked.error().kind == base::ErrorKind::kNotFound) {
            // Not found: rotation has taken it, and with it the reason to keep it.
            continue;
        }
        if (reminder_is_due()) {
            base::log_alarm(
                "{} does not join the pool {}: {}; tried again every {}",
                checkpoint::RunPaths::relative(waiting.checkpoint.pool, waiting.checkpoint.name),
                checkpoint::to_string(waiting.pool),
                linked.error().what,
                base::duration_in_words(options_.retry_seconds));
        }
        failed.push_back(std::move(waiting));
    }
    waiting_links_ = std::move(failed);
}

}  // namespace holdfast::train
