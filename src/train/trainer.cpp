#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process_usage.h"
#include "base/words.h"
#include "optim/schedule.h"
#include "telemetry/flops.h"

namespace holdfast::train {

using base::ExitCode;
using base::Failure;
using base::Result;
using checkpoint::Pool;

namespace {

// A nan has a sign that means nothing to a reader.
std::string in_words(double number) {
    return std::isnan(number) ? "nan" : fmt::format("{}", number);
}

std::string in_words(const data::Cursor& cursor) {
    return fmt::format("epoch {}, sample {}", cursor.epoch, cursor.sample);
}

}  // namespace

Trainer::Trainer(const TrainerOptions& options, const TrainerParts& parts, TrainerStart start)
    : options_(options),
      parts_(parts),
      start_(std::move(start)),
      position_(start_.position),
      best_(start_.manifest.best),
      log_before_line_(parts.metrics_log.position()),
      save_schedule_(options.save_interval, options.steps_total, base::monotonic_seconds()) {
    if (!parts.val_sets.empty()) {
        validation_fingerprint_ = base::to_hex(parts.val_sets.front().windows->fingerprint());
    }
    if (best_ && best_->validation != validation_fingerprint_) {
        best_.reset();  // a loss on other data says nothing about this one
    }
    if (start_.resumed_line) {
        last_metrics_ = *start_.resumed_line;
    } else {
        last_metrics_.phase = position_.phase;
    }
}

bool Trainer::is_evaluation_step(std::int64_t step) const {
    if (parts_.val_sets.empty() || step == 0) {
        return false;
    }
    const std::int64_t interval = options_.train.eval_interval;
    return step == options_.steps_total || (interval > 0 && step % interval == 0);
}

std::optional<std::string> Trainer::time_is_up() const {
    const double limit = options_.train.time_limit_seconds;
    if (limit > 0 && base::monotonic_seconds() - start_seconds_ >= limit) {
        return fmt::format("the time limit of {} is over", base::duration_in_words(limit));
    }
    return std::nullopt;
}

checkpoint::Manifest Trainer::manifest_now(const telemetry::StepMetrics& metrics) const {
    checkpoint::Manifest manifest = start_.manifest;
    manifest.identity.step = position_.step;
    manifest.created_utc_seconds = base::utc_seconds_now();
    manifest.phase = position_.phase;
    manifest.metrics_line = position_.step == 0 ? "{}" : telemetry::to_manifest_json(metrics);
    manifest.best = best_;
    manifest.evaluation = is_evaluation_step(position_.step) ? checkpoint::EvaluationState::kDue
                                                             : checkpoint::EvaluationState::kNone;
    manifest.tokens = position_.tokens;
    const data::SampleMap& samples = parts_.loader.samples();
    const data::WindowLocation location = samples.locate(position_.cursor);
    manifest.cursor = {.epoch = position_.cursor.epoch,
                       .sample = position_.cursor.sample,
                       .shard = fmt::format("{}", location.shard),
                       .offset = location.first_token};
    manifest.seed = position_.seed;
    manifest.lanes = position_.lanes;
    manifest.log = {.bytes = log_before_line_.bytes, .checksum = log_before_line_.checksum};
    return manifest;
}

void Trainer::save(Pool pool, std::vector<Pool> owed, const telemetry::StepMetrics& metrics) {
    SaveOrder order{pool, manifest_now(metrics), /*caller_tells=*/false};
    order.manifest.owed = std::move(owed);
    // Asked to stop, it gives up waiting for the save before: the last save has its own deadline.
    const std::optional<double> held_up_seconds = parts_.saver.save(
        parts_.capture, std::move(order), [this] { return parts_.stop.stop_asked(); });
    stall_seconds_ += held_up_seconds.value_or(0.0);
}

void Trainer::publish_first() {
    static_cast<void>(parts_.saver.save(
        parts_.capture, {Pool::kRolling, manifest_now(last_metrics_), /*caller_tells=*/true}));
    parts_.saver.settle();
    const std::optional<SaveOutcome> outcome = parts_.saver.last_outcome();
    if (!outcome || outcome->error) {
        const bool is_full = outcome && outcome->error->kind == base::ErrorKind::kNoSpace;
        throw Failure(
            ExitCode::kNotDurable,
            fmt::format(
                "the first checkpoint could not be saved, so nothing would survive a stop: {}{}",
                outcome ? outcome->error->what : "no outcome",
                is_full ? ", or choose another --checkpoint-dir" : ""));
    }
    const double deadline_seconds = options_.train.stop_deadline_seconds;
    const double save_seconds = kSaveTimeMargin * parts_.saver.expected_write_seconds();
    if (save_seconds > deadline_seconds) {
        base::log_warning(
            "a save may take {} here, longer than train.stop_deadline ({}): a signal will end the "
            "run at its newest checkpoint, without saving the current step",
            base::duration_in_words(save_seconds),
            base::duration_in_words(deadline_seconds));
    }
}

void Trainer::append_line(const telemetry::StepMetrics& metrics) {
    log_before_line_ = parts_.metrics_log.position();
    if (options_.write_metrics) {
        parts_.metrics_log.append(metrics);
    }
    if (parts_.tensorboard != nullptr) {
        parts_.tensorboard->add_metrics(metrics);
    }
    last_metrics_ = metrics;
    parts_.progress.update(metrics, base::monotonic_seconds());
}

void Trainer::note_best(const telemetry::StepMetrics& metrics) {
    const std::optional<double> loss = metrics.val_loss();
    if (!loss || !std::isfinite(*loss) || (best_ && *loss >= best_->val_loss)) {
        return;
    }
    std::optional<checkpoint::BestSoFar> before =
        std::exchange(best_, checkpoint::BestSoFar{position_.step, *loss, validation_fingerprint_});
    try {
        if (parts_.saver.newest_step() == position_.step) {
            parts_.saver.link_last_save(Pool::kBest);
        } else {
            save(Pool::kBest, {}, metrics);
        }
    } catch (...) {
        // Passed on. A manifest that called this step the best would keep it out of `best` when it
        // is evaluated again.
        best_ = std::move(before);
        throw;
    }
}

void Trainer::evaluate_and_log(telemetry::StepMetrics metrics) {
    const Result<std::optional<std::vector<telemetry::ValLoss>>> losses = evaluate_sets(
        parts_.gpt,
        parts_.val_sets,
        [&](std::int64_t done, std::int64_t total) {
            parts_.progress.set_activity(fmt::format("evaluating {}/{}", done, total),
                                         base::monotonic_seconds());
            return parts_.stop.stop_asked();
        },
        parts_.leader);
    parts_.progress.set_activity("", base::monotonic_seconds());
    if (!losses.ok()) {
        throw Failure(ExitCode::kFailed, losses.error().within("while evaluating").what);
    }
    if (!losses.value()) {
        // Line S is not written: the checkpoint of S says that its evaluation is due.
        last_metrics_ = metrics;
        return;
    }
    metrics.val_losses = *losses.value();
    append_line(metrics);
    note_best(metrics);
}

void Trainer::save_if_due(const LaunchedStep& launched) {
    std::vector<Pool> pools = save_schedule_.pools_due(launched.metrics.step, launched.epoch_ended);
    if (pools.empty()) {
        return;
    }
    switch (save_schedule_.decide(launched.metrics.step, pools, parts_.saver.in_flight_seconds())) {
        case SaveDecision::kSave:
            save(pools.front(), {pools.begin() + 1, pools.end()}, launched.metrics);
            tell_cost_of_a_crash();
            break;
        case SaveDecision::kNextStep:
            break;
        case SaveDecision::kSkip:
            base::log_alarm(
                "the save due at step {} is skipped: the one before is still being written "
                "({} skipped so far); raise checkpoint.interval, or use a faster disk",
                launched.metrics.step - 1,
                save_schedule_.skipped());
            break;
    }
}

void Trainer::tell_cost_of_a_crash() {
    const std::int64_t steps = position_.step - start_step_;
    if (std::exchange(cost_is_told_, true) || steps <= 0) {
        return;
    }
    const double step_seconds =
        (base::monotonic_seconds() - start_seconds_) / static_cast<double>(steps);
    const double between_seconds =
        options_.save_interval.seconds > 0
            ? options_.save_interval.seconds + step_seconds
            : static_cast<double>(options_.save_interval.steps) * step_seconds;
    if (between_seconds > 0) {
        base::log_info(
            "a crash costs at most {} of work and what is trained while a save is being written",
            base::duration_in_words(between_seconds));
    }
}

void Trainer::finish_step(const LaunchedStep& launched) {
    const telemetry::StepMetrics& metrics = launched.metrics;
    save_if_due(launched);
    if (is_evaluation_step(metrics.step)) {
        evaluate_and_log(metrics);
    } else {
        append_line(metrics);
    }
}

void Trainer::note_ranks(const StepNumbers& numbers, telemetry::StepMetrics& metrics) {
    for (const double seconds : numbers.compute_seconds_of_ranks) {
        metrics.rank_compute_ms.push_back(seconds * 1e3);
    }
    for (const double seconds : numbers.wait_seconds_of_ranks) {
        metrics.rank_wait_ms.push_back(seconds * 1e3);
    }
    if (!metrics.rank_wait_ms.empty()) {
        // The last to come waits for nobody: what it waits is the exchange alone.
        metrics.communication_ms =
            *std::min_element(metrics.rank_wait_ms.begin(), metrics.rank_wait_ms.end());
    }
    if (const auto line =
            stragglers_.note(numbers.compute_seconds_of_ranks, base::monotonic_seconds())) {
        base::log_warning("{}", *line);
    }
}

void Trainer::handle_refused_step(telemetry::StepMetrics& metrics) {
    ++refused_steps_;
    const std::string what = fmt::format(
        "step {} was refused: loss {}, gradient norm {} (rank 0, {}); no weight was touched",
        metrics.step,
        in_words(metrics.loss),
        in_words(metrics.grad_norm),
        in_words(position_.cursor));
    metrics.events.emplace_back("refused: loss or gradient norm not finite");
    if (options_.train.on_bad_loss == BadLossPolicy::kSkip) {
        base::log_alarm("{}; skipped ({} so far)", what, refused_steps_);
        return;
    }
    base::log_alarm("{}", what);
    guard_reason_ = what;
}

bool Trainer::take_step() {
    const auto should_stop = [this] { return parts_.stop.stop_asked(); };
    const double waited_before = parts_.loader.waited_seconds();
    const Result<const data::Batch*> batch = parts_.loader.next(should_stop);
    if (!batch.ok()) {
        throw Failure(ExitCode::kFailed, batch.error().within("while reading training data").what);
    }
    if (batch.value() == nullptr) {
        return false;
    }
    const data::Batch& taken = *batch.value();
    LaunchedStep launched;
    telemetry::StepMetrics& metrics = launched.metrics;
    metrics.step = position_.step + 1;
    metrics.learning_rate =
        optim::learning_rate_at(options_.schedule, options_.peak_learning_rate, metrics.step);
    if (parts_.leader != nullptr) {
        parts_.leader->order_step(metrics.step, metrics.learning_rate, taken.batch_hash);
    }
    if (!parts_.step.launch(taken, metrics.step, metrics.learning_rate, should_stop)) {
        return false;
    }
    const auto batch_tokens =
        static_cast<std::int64_t>(taken.sequence_hashes.size()) * taken.window_tokens;
    metrics.phase = position_.phase;
    metrics.epoch = taken.begin.epoch;
    metrics.tokens = position_.tokens + batch_tokens;
    metrics.batch_hash = taken.batch_hash;
    metrics.data_wait_ms = (parts_.loader.waited_seconds() - waited_before) * 1e3;
    launched.epoch_ended = taken.end.epoch > taken.begin.epoch;
    launched.batch_tokens = batch_tokens;

    // The device is busy with the new step: now is the time to look at the one before.
    finish_launched();
    position_.step = metrics.step;
    position_.tokens = metrics.tokens;
    position_.cursor = taken.end;
    parts_.loader.consume();
    launched_ = std::move(launched);
    save_schedule_.note_time(metrics.step, base::monotonic_seconds());
    if (parts_.gpt.device().is_cpu() || needs_its_numbers(*launched_)) {
        finish_launched();
    }
    return true;
}

bool Trainer::needs_its_numbers(const LaunchedStep& launched) const {
    return is_evaluation_step(launched.metrics.step) ||
           !save_schedule_.pools_due(launched.metrics.step, launched.epoch_ended).empty();
}

void Trainer::finish_launched() {
    if (!launched_) {
        return;
    }
    LaunchedStep launched = std::move(*launched_);
    launched_.reset();
    telemetry::StepMetrics& metrics = launched.metrics;
    const StepNumbers numbers = parts_.step.read(metrics.step);
    metrics.loss = numbers.loss;
    metrics.grad_norm = numbers.grad_norm;
    if (parts_.leader != nullptr) {
        note_ranks(numbers, metrics);
    }
    if (numbers.refused) {
        handle_refused_step(metrics);
    }
    const double now = base::monotonic_seconds();
    const double seconds = now - std::exchange(step_begin_seconds_, now);
    metrics.step_ms = seconds * 1e3;
    metrics.tokens_per_second = static_cast<double>(launched.batch_tokens) / seconds;
    metrics.save_stall_ms = std::exchange(stall_seconds_, 0.0) * 1e3;
    const base::ProcessUsage usage = base::process_usage();
    metrics.memory_bytes = usage.peak_resident_bytes;
    metrics.page_faults = usage.page_faults - std::exchange(page_faults_, usage.page_faults);
    if (options_.peak_flops) {
        metrics.mfu = telemetry::model_flops_utilisation(
            options_.flops_per_token, *metrics.tokens_per_second, *options_.peak_flops, 1);
    }
    // From here on the step can be saved, whatever its evaluation or its save meets.
    log_before_line_ = parts_.metrics_log.position();
    telemetry::StepMetrics line = metrics;
    last_metrics_ = std::move(line);
    finish_step(launched);
}

void Trainer::finish_resumed_step() {
    telemetry::StepMetrics metrics = *start_.resumed_line;
    metrics.resumed_from = metrics.step;
    if (start_.evaluation_due) {
        evaluate_and_log(std::move(metrics));
    } else {
        append_line(metrics);
    }
}

bool Trainer::must_look_at_the_last_step() {
    save_asked_ = save_asked_ || parts_.stop.take_save_request();
    save_wanted_ = save_wanted_ || parts_.saver.take_save_wanted();
    return parts_.stop.stop_asked() || save_asked_ || save_wanted_ ||
           position_.step >= options_.steps_total || time_is_up().has_value();
}

void Trainer::save_as_asked() {
    if (std::exchange(save_asked_, false)) {
        save(Pool::kEmergency, {}, last_metrics_);
    }
    if (std::exchange(save_wanted_, false)) {
        save(Pool::kRolling, {}, last_metrics_);
        if (parts_.tensorboard != nullptr) {
            // Puts the file back in its place; what it cannot write waits in memory.
            static_cast<void>(parts_.tensorboard->sync().ok());
        }
    }
}

TrainerResult Trainer::run_steps() {
    if (start_.must_publish_first) {
        publish_first();
    }
    if (start_.resumed_line) {
        finish_resumed_step();
    }
    step_begin_seconds_ = base::monotonic_seconds();
    page_faults_ = base::process_usage().page_faults;
    while (true) {
        if (must_look_at_the_last_step()) {
            finish_launched();
        }
        if (const std::optional<int> signal = parts_.stop.signal()) {
            return stopped(StopRequest::exit_code_of(*signal),
                           fmt::format("stopped by {}", StopRequest::name_of(*signal)),
                           parts_.stop.asked_seconds());
        }
        if (const auto poison = parts_.saver.poison()) {
            guard_reason_ = "the state is not finite: " + *poison;
        }
        if (guard_reason_ && repeats_a_refusal()) {
            return stopped_without_a_save();
        }
        if (guard_reason_) {
            return stopped(ExitCode::kFailed, *guard_reason_, base::monotonic_seconds());
        }
        if (position_.step >= options_.steps_total) {
            return end_of_run();
        }
        if (const std::optional<std::string> over = time_is_up()) {
            return stopped(ExitCode::kRestart, *over, base::monotonic_seconds());
        }
        save_as_asked();
        if (!take_step() && !parts_.stop.stop_asked()) {
            throw Failure(ExitCode::kFailed, "the data loader stopped without being asked");
        }
    }
}

}  // namespace holdfast::train
