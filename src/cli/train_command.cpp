// holdfast train: from the command line to a run that is finished or safely stopped.
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "checkpoint/ancestry.h"
#include "checkpoint/resume_load.h"
#include "checkpoint/run_directory.h"
#include "cli/automatic_choices.h"
#include "cli/checkpoint_list.h"
#include "cli/command.h"
#include "cli/resume_words.h"
#include "cli/run_environment.h"
#include "cli/train_request.h"
#include "cli/training_run.h"
#include "config/resolve.h"
#include "config/settings_change.h"
#include "fs/real_file_system.h"
#include "telemetry/flops.h"
#include "telemetry/metrics_log.h"
#include "telemetry/progress_line.h"
#include "telemetry/tensorboard_writer.h"
#include "train/saver.h"
#include "train/stop_request.h"
#include "train/trainer.h"

namespace holdfast::cli {

namespace {

using base::ExitCode;
using base::Failure;

// Everything about the place a run starts from.
struct StartingPoint {
    train::TrainerStart start;
    telemetry::LogPosition log;
    std::optional<checkpoint::PublishedCheckpoint> resumed_from;
    std::int64_t steps_already = 0;
};

std::vector<std::string> identity_differences(const checkpoint::RunIdentity& stored,
                                              const TrainRequest& request,
                                              const std::string& data_fingerprint) {
    std::vector<std::string> differences;
    const auto settings = config::settings_from_json(stored.config, "run.json");
    if (!settings.ok()) {
        return {settings.error().what};
    }
    const auto is_allowed = [&](std::string_view key) {
        for (const std::string& name : request.allowed_changes) {
            const auto option = config::option_table().find_by_name(name);
            if (option.ok() && option.value()->key == key) {
                return true;
            }
        }
        return false;
    };
    for (const config::SettingsChange& change :
         config::find_changes(settings.value(), request.resolved.settings)) {
        // Where the data lies may change; what it holds is compared below.
        const bool is_place = change.key == "data.train" || change.key == "data.val";
        if (change.rule == config::ChangeRule::kFree || is_place || is_allowed(change.key)) {
            continue;
        }
        differences.push_back(
            fmt::format("{} is {}, asked for {}", change.key, change.stored, change.requested));
    }
    if (stored.data_fingerprint != data_fingerprint && !is_allowed("data.train")) {
        differences.push_back(fmt::format("the data is other data (fingerprint {}, asked for {})",
                                          stored.data_fingerprint,
                                          data_fingerprint));
    }
    return differences;
}

checkpoint::OpenedRun open_run_or_fail(const TrainRequest& request,
                                       const config::Settings& settings,
                                       const std::string& data_fingerprint,
                                       checkpoint::TransferBuffers& buffers) {
    checkpoint::OpenRunOptions options;
    options.resume = request.resume;
    options.directory = settings.checkpoint.dir;
    options.backup_dir = settings.checkpoint.backup_dir;
    options.identity.config = config::to_canonical_json(settings);
    options.identity.data_fingerprint = data_fingerprint;
    options.identity.lanes = settings.batch.lanes;
    options.differences = [&](const checkpoint::RunIdentity& stored) {
        return identity_differences(stored, request, data_fingerprint);
    };
    options.now_utc_seconds = base::utc_seconds_now();
    checkpoint::OpenedRun opened =
        value_or_fail(checkpoint::open_run(fs::real_file_system(), options, buffers));
    for (const std::string& note : opened.notes) {
        base::log_warning("{}", note);
    }
    return opened;
}

// What a manifest says against what this program computes: a generator that changed would change
// every later bit.
void check_probes(const checkpoint::Manifest& manifest) {
    const auto expected = state::probe_streams(manifest.seed);
    for (const checkpoint::StreamProbe& probe : manifest.probes) {
        for (const state::StreamProbeValue& now : expected) {
            if (now.stream == probe.stream && now.value != probe.value) {
                throw Failure(
                    ExitCode::kNothingToResume,
                    fmt::format(
                        "the random stream '{}' of this program is not the one the checkpoint was "
                        "made with; resume it with the program that made it ({})",
                        probe.stream,
                        manifest.environment));
            }
        }
    }
}

checkpoint::Manifest fresh_manifest(const checkpoint::RunIdentity& identity,
                                    const config::Settings& settings,
                                    const std::string& environment) {
    checkpoint::Manifest manifest;
    manifest.run_id = identity.run_id;
    manifest.config = config::to_canonical_json(settings);
    manifest.data_fingerprint = identity.data_fingerprint;
    manifest.environment = environment;
    manifest.seed = settings.run.seed;
    manifest.lanes = settings.batch.lanes;
    for (const state::StreamProbeValue& probe : state::probe_streams(settings.run.seed)) {
        manifest.probes.push_back({std::string(probe.stream), probe.value});
    }
    return manifest;
}

StartingPoint start_fresh(const checkpoint::OpenedRun& opened,
                          const config::Settings& settings,
                          const std::string& environment,
                          TrainingRun& training) {
    training.initialise();
    StartingPoint point;
    point.start.manifest = fresh_manifest(opened.run.identity(), settings, environment);
    point.start.position.phase = settings.run.phase;
    point.start.position.seed = settings.run.seed;
    point.start.position.lanes = settings.batch.lanes;
    point.start.must_publish_first = true;
    return point;
}

void tell_differences(const checkpoint::Manifest& manifest, const std::string& environment) {
    for (const std::string& difference :
         environment_differences(manifest.environment, environment)) {
        base::log_warning(
            "since the checkpoint was written {}: from here on the bits may differ from those of a "
            "run that was never stopped (promise P2)",
            difference);
    }
}

StartingPoint start_from_checkpoint(const checkpoint::OpenedRun& opened,
                                    const TrainRequest& request,
                                    const config::Settings& settings,
                                    const std::string& environment,
                                    TrainingRun& training) {
    const checkpoint::ResumedFrom resumed = value_or_fail(
        checkpoint::resume_load(opened,
                                request.resume,
                                [&](const checkpoint::Entry& /*entry*/,
                                    checkpoint::Reader& reader) { return training.load(reader); }));
    training.install();
    const checkpoint::Manifest& stored = resumed.entry.manifest;
    check_probes(stored);
    tell_differences(stored, environment);

    StartingPoint point;
    train::TrainerStart& start = point.start;
    start.manifest = fresh_manifest(opened.run.identity(), settings, environment);
    start.manifest.identity.lineage = stored.identity.lineage;
    start.manifest.ancestors = stored.ancestors;
    start.manifest.best = stored.best;
    start.position = {.step = stored.identity.step,
                      .phase = stored.phase,
                      .cursor = {stored.cursor.epoch, stored.cursor.sample},
                      .tokens = stored.tokens,
                      .seed = stored.seed,
                      .lanes = stored.lanes};
    start.must_publish_first = !resumed.is_head || opened.chosen_is_external;
    if (start.must_publish_first) {
        checkpoint::begin_lineage(start.manifest, stored, resumed.next_lineage);
    } else {
        point.resumed_from = checkpoint::PublishedCheckpoint{
            resumed.entry.pool, resumed.entry.name, resumed.entry.path, stored};
    }
    start.evaluation_due = stored.evaluation == checkpoint::EvaluationState::kDue;
    if (stored.identity.step > 0) {
        start.resumed_line = value_or_fail(telemetry::parse_step_metrics(stored.metrics_line));
    }
    point.log = {stored.log.bytes, stored.log.checksum};
    base::log_info(
        "resumed from {} at step {} (epoch {}, sample {}){}",
        resumed.entry.label(),
        stored.identity.step,
        stored.cursor.epoch,
        stored.cursor.sample,
        start.must_publish_first ? fmt::format(", as lineage {}", resumed.next_lineage) : "");
    return point;
}

// True when the log already holds the finished line of the last step: then there is nothing left to
// do.
bool is_finished(fs::FileSystem& file_system,
                 const std::string& log_path,
                 const StartingPoint& point,
                 std::int64_t steps_total) {
    if (point.start.position.step < steps_total || !point.start.resumed_line) {
        return false;
    }
    if (!point.start.evaluation_due) {
        return true;
    }
    // A line is far shorter than this; only the one after the checkpoint's part of the log matters.
    std::string text(std::size_t{64} << 10U, '\0');
    const auto file = file_system.open(log_path, {});
    if (!file.ok()) {
        return false;
    }
    const auto count =
        file.value()->read_at(std::as_writable_bytes(std::span(text)), point.log.bytes);
    text.resize(count.ok() ? count.value() : 0);
    const std::size_t line_end = text.find('\n');
    if (line_end == std::string::npos) {
        return false;
    }
    const auto line = telemetry::parse_step_metrics(std::string_view(text).substr(0, line_end));
    return line.ok() && line.value().step == point.start.position.step && line.value().val_loss();
}

void bring_log_back(fs::FileSystem& file_system,
                    const checkpoint::RunPaths& paths,
                    const StartingPoint& point) {
    const checkpoint::Identity identity =
        point.resumed_from ? point.resumed_from->manifest.identity : point.start.manifest.identity;
    const std::string save_id =
        identity.save_id.empty() ? checkpoint::make_save_id() : identity.save_id;
    const auto cut =
        telemetry::cut_log(file_system,
                           paths.in_run(checkpoint::kLogName),
                           point.log,
                           paths.in_run(checkpoint::log_tail_name(identity.lineage, save_id, 1)));
    if (!cut.ok()) {
        base::log_warning("{}; metrics.jsonl may hold some steps twice", cut.error().what);
    } else if (!cut.value().note.empty()) {
        base::log_warning("{}", cut.value().note);
    }
}

train::TrainerOptions trainer_options(const config::Settings& settings,
                                      std::int64_t total,
                                      at::Device device) {
    return {.train = settings.train,
            .schedule = settings.schedule,
            .peak_learning_rate = settings.optimizer.learning_rate,
            .save_interval = settings.checkpoint.interval,
            .keep_every = settings.checkpoint.keep_every,
            .steps_total = total,
            .flops_per_token = telemetry::flops_per_token(settings.model.parameter_count(),
                                                          settings.model.n_layer,
                                                          settings.model.n_embd,
                                                          settings.model.block_size),
            .peak_flops = telemetry::device_peak_flops(device_name(device)),
            .write_metrics = settings.log.json};
}

void tell_start(const config::Settings& settings,
                const TrainingRun& training,
                const train::RunData& data,
                const kernels::Kernels& kernels,
                std::int64_t total) {
    const std::int64_t sequences = settings.batch.batch_tokens / settings.model.block_size;
    base::log_info("model   {} parameters: {} layers, {} heads, {} channels, context {}",
                   base::count_in_words(static_cast<double>(settings.model.parameter_count())),
                   settings.model.n_layer,
                   settings.model.n_head,
                   settings.model.n_embd,
                   settings.model.block_size);
    base::log_info("data    {}; {} windows an epoch",
                   data.train->in_words(),
                   training.windows().window_count());
    base::log_info("batch   {} tokens = {} lane(s) x {} micro-batch(es) x {} sequences x {} tokens",
                   settings.batch.batch_tokens,
                   settings.batch.lanes,
                   config::accumulation_steps(settings),
                   settings.batch.micro_batch,
                   settings.model.block_size);
    base::log_info("run     {} steps = {:.2f} epochs, in {}",
                   total,
                   static_cast<double>(total * sequences) /
                       static_cast<double>(training.windows().window_count()),
                   settings.checkpoint.dir);
    base::log_info("device  {}, {} threads, kernels {}",
                   device_name(kernels.device()),
                   settings.run.threads,
                   kernels.name());
}

ExitCode report_end(const train::TrainerResult& result, const std::string& run_directory) {
    base::log_info("{}", result.reason);
    if (result.best) {
        base::log_info("best val loss {:.4f} at step {}", result.best->val_loss, result.best->step);
    }
    if (result.refused_steps > 0) {
        base::log_warning("{} step(s) were refused", result.refused_steps);
    }
    const auto command = resume_command_of(fs::real_file_system(), run_directory);
    if (command.ok()) {
        base::log_info("go on with: {}", command.value());
    }
    if (result.exit_code == ExitCode::kFailed || result.exit_code == ExitCode::kNotDurable) {
        throw Failure(result.exit_code, result.reason);
    }
    return result.exit_code;
}

ExitCode train_in(checkpoint::OpenedRun& opened,
                  const TrainRequest& request,
                  const config::Settings& settings,
                  const train::RunData& data,
                  at::Device device) {
    const train::StopRequest stop;
    set_up_torch(settings.run.threads, settings.run.deterministic);
    const std::unique_ptr<kernels::Kernels> kernels = kernels::make_kernels(device);
    const std::string environment = environment_json(settings, *kernels, request.launch_json());
    TrainingRun training(settings, data, *kernels);
    const std::int64_t total = steps_total(settings, training.windows().window_count());
    tell_start(settings, training, data, *kernels, total);

    StartingPoint point =
        opened.fresh ? start_fresh(opened, settings, environment, training)
                     : start_from_checkpoint(opened, request, settings, environment, training);
    fs::FileSystem& file_system = fs::real_file_system();
    const checkpoint::RunPaths paths = opened.run.paths();
    if (is_finished(file_system, paths.in_run(checkpoint::kLogName), point, total)) {
        base::log_info(
            "the run is finished: it is at step {} and ends at {}; raise --max-steps to go on",
            point.start.position.step,
            total);
        return ExitCode::kDone;
    }
    bring_log_back(file_system, paths, point);
    const auto metrics_log =
        value_or_fail(telemetry::MetricsLog::open(file_system, paths.in_run(checkpoint::kLogName)));
    std::unique_ptr<telemetry::TensorboardWriter> tensorboard;
    if (settings.log.tensorboard) {
        tensorboard = value_or_fail(telemetry::TensorboardWriter::open(
            file_system,
            paths.in_run(checkpoint::kTensorboardName),
            opened.fresh ? std::nullopt : std::optional(point.start.position.step)));
    }
    const auto loader = value_or_fail(training.make_loader(point.start.position.cursor));
    telemetry::ProgressLine progress(telemetry::stderr_screen(), total);
    train::Saver saver(opened.run,
                       training.snapshot(),
                       *metrics_log,
                       {.limits = checkpoint::RetentionLimits::of(settings.checkpoint),
                        .resumed_from = point.resumed_from});
    train::Trainer trainer(trainer_options(settings, total, device),
                           {.gpt = training.gpt(),
                            .step = training.step(),
                            .loader = *loader,
                            .val_sets = training.val_sets(),
                            .saver = saver,
                            .metrics_log = *metrics_log,
                            .tensorboard = tensorboard.get(),
                            .progress = progress,
                            .stop = stop,
                            .capture = [&] { training.capture(); }},
                           std::move(point.start));
    const train::TrainerResult result = trainer.run();
    return report_end(result, paths.directory);
}

}  // namespace

ExitCode run_train(const std::vector<std::string>& arguments) {
    TrainRequest request = parse_train_request(arguments);
    if (request.help) {
        print_train_help();
        return ExitCode::kDone;
    }
    config::ResolvedSettings& resolved = request.resolved;
    if (request.list_checkpoints) {
        const std::string& configured = resolved.settings.checkpoint.dir;
        return list_checkpoints(
            configured.empty() ? "checkpoints/" + resolved.settings.run.name : configured,
            /*as_json=*/false);
    }
    fs::FileSystem& file_system = fs::real_file_system();
    const at::Device device = choose_device(resolved.settings.run.device);
    const train::RunData data = value_or_fail(train::open_run_data(
        file_system, resolved.settings.data, resolved.settings.model.vocab_size));
    const data::WindowMap windows =
        value_or_fail(data::WindowMap::make(*data.train, resolved.settings.model.block_size));
    // The identity is compared as asked for; what was left open is filled in for a new run.
    config::ResolvedSettings chosen = resolved;
    choose_automatics(chosen, data.vocab_size, windows.window_count(), device);
    for (const base::Status& status : {chosen.settings.model.validate(),
                                       config::validate(chosen.settings),
                                       train::check_run_data(data)}) {
        if (!status.ok()) {
            fail(status.error());
        }
    }
    if (request.dry_run) {
        fmt::print("{}", config::resolved_table(chosen, false));
        return ExitCode::kDone;
    }
    checkpoint::TransferBuffers buffers;
    checkpoint::OpenedRun opened =
        open_run_or_fail(request, chosen.settings, data.fingerprint(), buffers);
    config::Settings settings = chosen.settings;
    if (!opened.fresh) {
        const config::Settings stored =
            value_or_fail(config::settings_from_json(opened.run.identity().config, "run.json"));
        // Where a run lies is not a setting of it: directories may be moved.
        resolved.settings.checkpoint.dir = stored.checkpoint.dir;
        config::ResumeSettings for_resume = value_or_fail(
            config::settings_for_resume(stored, resolved.settings, request.allowed_changes));
        for (const config::SettingsChange& change : for_resume.changes) {
            base::log_info("changed {}: {} was {}", change.key, change.requested, change.stored);
        }
        settings = for_resume.settings;
    }
    settings.checkpoint.dir = opened.run.paths().directory;
    base::log_info("{}", config::resolved_table(chosen, true));
    return train_in(opened, request, settings, data, device);
}

}  // namespace holdfast::cli
