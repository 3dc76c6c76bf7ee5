// The loop of a run: steps, saves, evaluations, the log line of each step, and every way to stop.
//
// The order at step S is fixed: update, save (if due), evaluate (if due), log line S. So a
// checkpoint of S knows the log up to S - 1, and an evaluation that was cut short is done again at
// resume. Between two steps the state is one of a run that was never stopped; only there is
// anything captured.
//
// Owns nothing that lives longer than run(). Borrows its parts, which must outlive it. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/manifest.h"
#include "data/batch_loader.h"
#include "model/gpt.h"
#include "optim/schedule_config.h"
#include "state/run_position.h"
#include "telemetry/metrics_log.h"
#include "telemetry/progress_line.h"
#include "telemetry/tensorboard_writer.h"
#include "train/evaluation.h"
#include "train/last_save.h"
#include "train/save_schedule.h"
#include "train/saver.h"
#include "train/stop_request.h"
#include "train/straggler_watch.h"
#include "train/train_config.h"
#include "train/train_step.h"

namespace holdfast::train {

struct TrainerOptions {
    TrainConfig train;
    optim::ScheduleConfig schedule;
    double peak_learning_rate = 0.0;
    checkpoint::SaveInterval save_interval;
    // Where the run ends: the smaller of max_steps and max_epochs in steps.
    std::int64_t steps_total = 0;
    double flops_per_token = 0.0;
    std::optional<double> peak_flops;  // of the device, when it is known
    std::string memory_in_words;       // what was planned, as a message of no memory ends
    bool write_metrics = true;
};

// The parts a run is made of.
struct TrainerParts {
    model::Gpt& gpt;
    TrainStep& step;
    data::BatchLoader& loader;
    const std::vector<NamedValidationSet>& val_sets;
    Saver& saver;
    telemetry::MetricsLog& metrics_log;
    telemetry::TensorboardWriter* tensorboard;  // null: off
    telemetry::ProgressLine& progress;
    const StopRequest& stop;
    std::function<void()> capture;  // state into the saver's snapshot, of all ranks
    RankLeader* leader = nullptr;   // of the other ranks; null: there are none
};

// How the run came to its place.
struct TrainerStart {
    state::RunPosition position;
    // What every manifest of this run repeats: run id, lineage, ancestors, config, environment,
    // data fingerprint, probes.
    checkpoint::Manifest manifest;
    // Of the checkpoint resumed from; nothing in a fresh run.
    std::optional<telemetry::StepMetrics> resumed_line;
    bool evaluation_due = false;
    bool must_publish_first = false;  // fresh run (step 0), or a rollback
};

struct TrainerResult {
    base::ExitCode exit_code = base::ExitCode::kDone;
    std::string reason;  // one line: why it ended
    std::int64_t step = 0;
    std::optional<double> last_loss;
    std::optional<checkpoint::BestSoFar> best;
    std::int64_t refused_steps = 0;
    std::int64_t skipped_saves = 0;  // due while the one before was still being written
    // Of a stop, monotonic: what still runs beside must end by then. Nothing: a run that came to
    // its end takes the time it needs.
    std::optional<double> deadline_seconds;
    // The deadline of a stop came while the disk was at work: waiting for the saver may never end.
    bool saver_is_stuck = false;
};

class Trainer {
public:
    Trainer(const TrainerOptions& options, const TrainerParts& parts, TrainerStart start);

    // Runs until the end or a stop, saves the last state, and says how it ended. Throws
    // base::Failure for what cannot be gone on with (data that changed, a first save that fails).
    TrainerResult run();

private:
    // A step the device has been given and whose numbers the host has not looked at.
    struct LaunchedStep {
        telemetry::StepMetrics metrics;
        std::int64_t batch_tokens = 0;
        bool epoch_ended = false;
    };

    TrainerResult run_steps();
    void publish_first();
    void finish_resumed_step();
    bool take_step();
    void finish_launched();
    void finish_step(const LaunchedStep& launched);
    void note_ranks(const StepNumbers& numbers, telemetry::StepMetrics& metrics);
    void handle_refused_step(telemetry::StepMetrics& metrics);
    void evaluate_and_log(telemetry::StepMetrics metrics);
    void note_best(const telemetry::StepMetrics& metrics);
    void append_line(const telemetry::StepMetrics& metrics);
    void save_if_due(const LaunchedStep& launched);
    void save(checkpoint::Pool pool,
              std::vector<checkpoint::Pool> owed,
              const telemetry::StepMetrics& metrics);
    void save_as_asked();
    void tell_cost_of_a_crash();
    TrainerResult end_of_run();
    TrainerResult stopped(base::ExitCode exit_code, const std::string& why, double asked_seconds);
    // A run that is started again and again must not fill the pool with one and the same state:
    // true when it began at a refused step and none was accepted since.
    [[nodiscard]] bool repeats_a_refusal() const;
    TrainerResult stopped_without_a_save();
    // Whether the state is that after step position_.step, and its line is known.
    [[nodiscard]] bool stands_between_steps() const;
    TrainerResult out_of_memory(const std::string& what);
    bool must_look_at_the_last_step();
    [[nodiscard]] TrainerResult result_now() const;
    [[nodiscard]] TrainerResult result_of(const LastSave& last, const std::string& why) const;
    [[nodiscard]] bool needs_its_numbers(const LaunchedStep& launched) const;
    [[nodiscard]] bool is_evaluation_step(std::int64_t step) const;
    [[nodiscard]] std::optional<std::string> time_is_up() const;
    [[nodiscard]] checkpoint::Manifest manifest_now(const telemetry::StepMetrics& metrics) const;

    TrainerOptions options_;
    TrainerParts parts_;
    TrainerStart start_;
    state::RunPosition position_;
    std::optional<checkpoint::BestSoFar> best_;
    std::string validation_fingerprint_;
    std::optional<LaunchedStep> launched_;
    // The line of the newest finished step, and where the log stood before it.
    telemetry::StepMetrics last_metrics_;
    telemetry::LogPosition log_before_line_;
    SaveSchedule save_schedule_;
    StragglerWatch stragglers_;
    std::int64_t refused_steps_ = 0;
    std::optional<std::string> guard_reason_;
    bool save_asked_ = false;    // by SIGUSR1
    bool save_wanted_ = false;   // by the saver
    bool cost_is_told_ = false;  // what a crash costs
    double start_seconds_ = 0.0;
    std::int64_t start_step_ = 0;
    double step_begin_seconds_ = 0.0;
    double stall_seconds_ = 0.0;
    std::int64_t page_faults_ = 0;  // at the line before
    // Given back when memory runs out, so that there is some for the way out.
    std::unique_ptr<std::byte[]> reserve_;
};

}  // namespace holdfast::train
