// Every way a run ends.
#include <cmath>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/process_usage.h"
#include "base/words.h"
#include "train/trainer.h"

namespace holdfast::train {

using base::ExitCode;
using checkpoint::Pool;

namespace {

// For a manifest, its messages and what the deletions after a save read.
constexpr std::size_t kReserveBytes = std::size_t{4} << 20U;

}  // namespace

TrainerResult Trainer::result_now() const {
    TrainerResult result;
    result.step = position_.step;
    result.best = best_;
    result.refused_steps = refused_steps_;
    result.skipped_saves = save_schedule_.skipped();
    if (position_.step > 0) {
        result.last_loss = last_metrics_.loss;
    }
    return result;
}

TrainerResult Trainer::result_of(const LastSave& last, const std::string& why) const {
    TrainerResult result = result_now();
    result.reason = fmt::format("{}; {}", why, last.words);
    result.exit_code = last.kind == LastSaveKind::kSaved ? ExitCode::kDone : ExitCode::kNotDurable;
    result.saver_is_stuck = last.kind == LastSaveKind::kStillWriting;
    return result;
}

TrainerResult Trainer::stopped(ExitCode exit_code, const std::string& why, double asked_seconds) {
    parts_.progress.finish();
    reserve_.reset();  // nothing is trained any more: there is memory for the last save
    const double deadline_seconds = asked_seconds + options_.train.stop_deadline_seconds;
    const LastSave last =
        save_last(parts_.saver, position_.step, {deadline_seconds, deadline_seconds}, [this] {
            static_cast<void>(
                parts_.saver.save(parts_.capture, {Pool::kEmergency, manifest_now(last_metrics_)}));
        });
    TrainerResult result = result_of(last, why);
    result.deadline_seconds = deadline_seconds;
    if (last.kind == LastSaveKind::kSaved) {
        result.exit_code = exit_code;
    }
    return result;
}

bool Trainer::repeats_a_refusal() const {
    const bool began_refused =
        start_.resumed_line && (!std::isfinite(start_.resumed_line->loss) ||
                                !std::isfinite(start_.resumed_line->grad_norm));
    return began_refused && refused_steps_ == position_.step - start_step_;
}

TrainerResult Trainer::stopped_without_a_save() {
    parts_.progress.finish();
    TrainerResult result = result_now();
    result.exit_code = ExitCode::kFailed;
    result.reason = fmt::format(
        "{}; no step was accepted since {}, so nothing is saved anew: lower "
        "optimizer.learning_rate and resume an older checkpoint, or set train.on_bad_loss to skip",
        *guard_reason_,
        parts_.saver.last_published()->label);
    return result;
}

TrainerResult Trainer::end_of_run() {
    parts_.progress.finish();
    reserve_.reset();  // as in stopped()
    const LastSave last = save_last(
        parts_.saver,
        position_.step,
        {.writing_seconds = Saver::kForEver,
         .retrying_seconds = base::monotonic_seconds() + options_.train.stop_deadline_seconds},
        [this] { save(Pool::kRolling, {}, last_metrics_); });
    const std::string why = fmt::format("finished at step {}", position_.step);
    TrainerResult result = result_of(last, why);
    if (last.kind == LastSaveKind::kSaved) {
        result.reason = why;
    }
    return result;
}

bool Trainer::stands_between_steps() const {
    // Other ranks may be in the middle of the step that this one has left.
    return parts_.leader == nullptr && parts_.step.weights_are_whole() &&
           parts_.step.updated_step().value_or(start_step_) == position_.step &&
           last_metrics_.step == position_.step;
}

TrainerResult Trainer::out_of_memory(const std::string& what) {
    const std::uint64_t held_bytes = base::process_usage().peak_resident_bytes;
    // Of a device, the step before may not have been looked at yet.
    finish_launched();
    TrainerResult result;
    if (stands_between_steps()) {
        result = stopped(ExitCode::kOutOfMemory, "", base::monotonic_seconds());
        result.reason.erase(0, std::string_view("; ").size());
    } else {
        parts_.progress.finish();
        result = result_now();
        result.deadline_seconds = base::monotonic_seconds() + options_.train.stop_deadline_seconds;
        result.reason = fmt::format("a step was half done, so nothing is saved; {}",
                                    newest_in_words(parts_.saver));
    }
    result.exit_code = ExitCode::kOutOfMemory;
    result.reason = fmt::format(
        "out of memory after step {} ({}); {}; this process held {} at most, {}: give it more, "
        "raise model.recompute, or lower batch.micro_batch (docs/performance.md has the formula)",
        position_.step,
        what,
        result.reason,
        base::bytes_in_words(held_bytes),
        options_.memory_in_words);
    return result;
}

TrainerResult Trainer::run() {
    start_seconds_ = base::monotonic_seconds();
    start_step_ = position_.step;
    // Written to: memory that was never touched may be none.
    reserve_ = std::make_unique<std::byte[]>(kReserveBytes);
    std::string what;
    // The one exception that is met here: what is in memory can still be saved.
    try {
        return run_steps();
    } catch (const std::bad_alloc& error) {
        reserve_.reset();
        what = error.what();
    } catch (const c10::OutOfMemoryError& error) {
        reserve_.reset();
        what = error.what_without_backtrace();
    }
    return out_of_memory(what.substr(0, what.find('\n')));
}

}  // namespace holdfast::train
