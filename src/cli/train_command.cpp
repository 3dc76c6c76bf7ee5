// holdfast train: from the command line to a run that is finished or safely stopped.
#include <cstdlib>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "checkpoint/run_directory.h"
#include "cli/automatic_choices.h"
#include "cli/checkpoints_list.h"
#include "cli/command.h"
#include "cli/disk_check.h"
#include "cli/launch_ranks.h"
#include "cli/node_disks.h"
#include "cli/rank_session.h"
#include "cli/resume_words.h"
#include "cli/run_environment.h"
#include "cli/run_opening.h"
#include "cli/second_copies.h"
#include "cli/starting_point.h"
#include "cli/train_follower.h"
#include "cli/train_request.h"
#include "cli/training_run.h"
#include "config/resolve.h"
#include "fs/real_file_system.h"
#include "telemetry/disk_monitor.h"
#include "telemetry/flops.h"
#include "telemetry/metrics_log.h"
#include "telemetry/progress_line.h"
#include "telemetry/tensorboard_writer.h"
#include "train/part_collector.h"
#include "train/rank_leader.h"
#include "train/saver.h"
#include "train/stop_request.h"
#include "train/trainer.h"

namespace holdfast::cli {

namespace {

using base::ExitCode;
using base::Failure;

// A rank that takes longer to write its part has failed the save.
constexpr double kPartTimeoutSeconds = 600;

train::TrainerOptions trainer_options(const config::Settings& settings,
                                      const TrainingRun& training,
                                      std::int64_t total,
                                      at::Device device) {
    return {.train = settings.train,
            .schedule = settings.schedule,
            .peak_learning_rate = settings.optimizer.learning_rate,
            .save_interval = settings.checkpoint.interval,
            .steps_total = total,
            .flops_per_token = telemetry::flops_per_token(settings.model.parameter_count(),
                                                          settings.model.n_layer,
                                                          settings.model.n_embd,
                                                          settings.model.block_size),
            .peak_flops = telemetry::device_peak_flops(device_name(device)),
            .memory_in_words = in_words(training.planned_memory(), settings.batch.micro_batch),
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
    const RunMemory memory = training.planned_memory();
    const auto words = [](std::int64_t bytes) {
        return base::bytes_in_words(static_cast<std::uint64_t>(bytes));
    };
    const std::string planned = kernels.device().is_cpu()
                                    ? words(memory.device_bytes() + memory.host_bytes())
                                    : fmt::format("{} on the GPU and {} on the host",
                                                  words(memory.device_bytes()),
                                                  words(memory.host_bytes()));
    base::log_info(
        "memory  {} planned{}: weights {}, gradients {}, {}optimizer {}, activations {}, "
        "saving {}, batches {}",
        planned,
        memory.exchange_bytes > 0 ? " by each rank" : "",
        words(memory.weights_bytes),
        words(memory.gradients_bytes),
        memory.exchange_bytes > 0 ? fmt::format("exchange {}, ", words(memory.exchange_bytes)) : "",
        words(memory.optimizer_bytes),
        words(memory.activations_bytes),
        words(memory.saving_bytes),
        words(memory.batches_bytes));
    base::log_info("device  {}, {} threads, kernels {}",
                   device_name(kernels.device()),
                   settings.run.threads,
                   kernels.name());
}

// None where it is off.
std::unique_ptr<telemetry::TensorboardWriter> open_tensorboard(const config::Settings& settings,
                                                               const checkpoint::OpenedRun& opened,
                                                               std::int64_t step) {
    if (!settings.log.tensorboard) {
        return nullptr;
    }
    return value_or_fail(
        telemetry::TensorboardWriter::open(fs::real_file_system(),
                                           opened.run.paths().in_run(checkpoint::kTensorboardName),
                                           opened.fresh ? std::nullopt : std::optional(step)));
}

// None where both thresholds are off.
std::unique_ptr<telemetry::DiskMonitor> make_disk_monitor(const config::Settings& settings,
                                                          const std::string& run_directory) {
    const telemetry::DiskThresholds thresholds{settings.checkpoint.disk_warn_percent,
                                               settings.checkpoint.disk_alert_percent};
    return thresholds.any() ? std::make_unique<telemetry::DiskMonitor>(
                                  fs::real_file_system(), run_directory, thresholds)
                            : nullptr;
}

bool is_failure(const train::TrainerResult& result) {
    return result.exit_code == ExitCode::kFailed || result.exit_code == ExitCode::kNotDurable ||
           result.exit_code == ExitCode::kOutOfMemory;
}

void tell_end(const train::TrainerResult& result, const std::string& run_directory) {
    // The reason of a failure is the last line, and main's.
    if (!is_failure(result)) {
        base::log_info("{}", result.reason);
    }
    if (result.best) {
        base::log_info("best val loss {:.4f} at step {}", result.best->val_loss, result.best->step);
    }
    if (result.refused_steps > 0) {
        base::log_warning("{} step(s) were refused", result.refused_steps);
    }
    if (result.skipped_saves > 0) {
        base::log_warning("{} save(s) were skipped because the disk was behind",
                          result.skipped_saves);
    }
    const auto command = resume_command_of(fs::real_file_system(), run_directory);
    if (command.ok()) {
        base::log_info("go on with: {}", command.value());
    }
}

// While the saver and the backup writer (null: none) live: one that is stuck is left behind.
ExitCode end_run(const train::TrainerResult& result,
                 const std::string& run_directory,
                 checkpoint::BackupWriter* backup) {
    const bool backup_is_done = backup == nullptr || finish_backup(*backup, result);
    tell_end(result, run_directory);
    if (result.saver_is_stuck || !backup_is_done) {
        if (is_failure(result)) {
            base::log_alarm("{}", result.reason);
        }
        // A thread waits for a disk that may never answer: joining it would break the deadline.
        std::_Exit(static_cast<int>(result.exit_code));
    }
    if (is_failure(result)) {
        throw Failure(result.exit_code, result.reason);
    }
    return result.exit_code;
}

// A run that died between its last save and the deletions and copies after it has no later save to
// catch up.
void finish_last_save(const checkpoint::RunDirectory& run,
                      const config::Settings& settings,
                      bool has_backup,
                      checkpoint::TransferBuffers& buffers) {
    const checkpoint::ReclaimReport report =
        run.tidy(checkpoint::RetentionLimits::of(settings.checkpoint), buffers);
    for (const std::string& failure : report.failures) {
        base::log_warning("{} (tried again later)", failure);
    }
    if (const auto backup = start_backup(settings, run, has_backup)) {
        // What is missing is told.
        static_cast<void>(backup->finish(std::nullopt));
    }
}

// The other ranks, as rank 0 sees them; empty when there are none.
struct Ranks {
    RankSession* session = nullptr;
    train::RankLeader* leader = nullptr;
    OfferedDisk* disk = nullptr;  // to ranks on other nodes; null: there are none

    [[nodiscard]] int size() const { return session == nullptr ? 1 : session->size(); }
    [[nodiscard]] dist::Communicator* group() const {
        return session == nullptr ? nullptr : &session->group();
    }
    [[nodiscard]] std::unique_ptr<train::PartCollector> make_collector() const {
        return leader == nullptr ? nullptr
                                 : std::make_unique<train::PartCollector>(
                                       session->connect(), *leader, kPartTimeoutSeconds);
    }
    void capture(TrainingRun& training) const {
        if (leader != nullptr) {
            leader->order_capture();
        }
        training.capture();
    }
};

ExitCode train_in(checkpoint::OpenedRun& opened,
                  const TrainRequest& request,
                  const config::Settings& settings,
                  const train::RunData& data,
                  at::Device device,
                  checkpoint::TransferBuffers& buffers,
                  const Ranks& ranks) {
    const train::StopRequest stop;
    set_up_torch(settings.run.threads, settings.run.deterministic);
    const std::unique_ptr<kernels::Kernels> kernels = kernels::make_kernels(device);
    const std::string environment = environment_json(settings, *kernels, request.launch_json());
    if (ranks.leader != nullptr) {
        ranks.leader->order_set_up(config::to_canonical_json(settings));
    }
    TrainingRun training(settings, data, *kernels, ranks.group());
    const std::int64_t total = steps_total(settings, training.windows().window_count());
    tell_start(settings, training, data, *kernels, total);

    StartingPoint point = opened.fresh
                              ? start_fresh(opened, settings, environment, training)
                              : start_from_checkpoint(opened,
                                                      request.resume,
                                                      settings,
                                                      environment,
                                                      training,
                                                      {.leader = ranks.leader, .disk = ranks.disk});
    fs::FileSystem& file_system = fs::real_file_system();
    const checkpoint::RunPaths paths = opened.run.paths();
    const RunLength length{point.start.position.step, total, training.windows().window_count()};
    const std::uint64_t bytes_each = checkpoint_bytes(training.snapshot());
    if (!point.start.must_publish_first && is_finished(opened.run, point, total)) {
        base::log_info(
            "the run is finished: it is at step {} and ends at {}; raise --max-steps to go on",
            point.start.position.step,
            total);
        finish_last_save(opened.run,
                         settings,
                         keeps_second_copies(opened.run, settings, length, bytes_each),
                         buffers);
        return ExitCode::kDone;
    }
    const bool has_backup = check_disk(opened.run, settings, length, bytes_each);
    bring_log_back(file_system, paths, point);
    const auto metrics_log =
        value_or_fail(telemetry::MetricsLog::open(file_system, paths.in_run(checkpoint::kLogName)));
    const auto tensorboard = open_tensorboard(settings, opened, point.start.position.step);
    const auto disk_monitor = make_disk_monitor(settings, paths.directory);
    const data::Cursor cursor = point.start.position.cursor;
    if (ranks.leader != nullptr) {
        ranks.leader->order_begin(!opened.fresh, cursor.epoch, cursor.sample);
    }
    const auto loader = value_or_fail(training.make_loader(cursor));
    const std::unique_ptr<train::PartCollector> parts = ranks.make_collector();
    telemetry::ProgressLine progress(telemetry::stderr_screen(), total);
    const auto backup = start_backup(settings, opened.run, has_backup);
    train::Saver saver(opened.run,
                       training.snapshot(),
                       *metrics_log,
                       {.writer = {.limits = checkpoint::RetentionLimits::of(settings.checkpoint),
                                   .keep_every = settings.checkpoint.keep_every,
                                   .disk_monitor = disk_monitor.get(),
                                   .parts = parts.get()},
                        .resumed_from = point.resumed_from,
                        .backup = backup.get()});
    train::Trainer trainer(trainer_options(settings, training, total, device),
                           {.gpt = training.gpt(),
                            .step = training.step(),
                            .loader = *loader,
                            .val_sets = training.val_sets(),
                            .saver = saver,
                            .metrics_log = *metrics_log,
                            .tensorboard = tensorboard.get(),
                            .progress = progress,
                            .stop = stop,
                            .capture = [&] { ranks.capture(training); },
                            .leader = ranks.leader},
                           std::move(point.start));
    const train::TrainerResult result = trainer.run();
    if (ranks.leader != nullptr) {
        ranks.leader->order_end(result.exit_code);
    }
    return end_run(result, paths.directory, backup.get());
}

}  // namespace

namespace {

// The whole life of a run in the process that opens it: the only one, or rank 0.
ExitCode run_as_first(const TrainRequest& request,
                      const config::ResolvedSettings& chosen,
                      const train::RunData& data,
                      at::Device device,
                      Ranks ranks) {
    checkpoint::TransferBuffers buffers;
    checkpoint::OpenedRun opened =
        open_run_or_fail(request, chosen.settings, data.fingerprint(), buffers);
    config::Settings settings = chosen.settings;
    if (!opened.fresh) {
        settings = settings_of_resumed(opened.run, request, data.fingerprint());
    }
    check_rank_count(ranks.size(), settings.batch.lanes);
    settings.checkpoint.dir = opened.run.paths().directory;
    base::log_info("{}", config::resolved_table(chosen, true));
    std::optional<OfferedDisk> disk;
    if (ranks.session != nullptr && ranks.session->place().node_count > 1) {
        disk.emplace(*ranks.session, *ranks.leader, opened.run, settings.checkpoint.gather);
        ranks.disk = &*disk;
    }
    return train_in(opened, request, settings, data, device, buffers, ranks);
}

ExitCode lead_run(RankSession& session,
                  const TrainRequest& request,
                  const config::ResolvedSettings& chosen,
                  const train::RunData& data,
                  at::Device device) {
    train::RankLeader leader(session.group(), session.watch());
    try {
        const ExitCode ended = run_as_first(request, chosen, data, device, {&session, &leader});
        leader.order_end(ended);  // not told yet when there was nothing to train
        return ended;
    } catch (const Failure& failure) {
        leader.order_end(failure.exit_code());
        throw;
    }
}

// With the data open: as the only process (`ranks` is null), as rank 0 or as another.
ExitCode train_with(const TrainRequest& request,
                    at::Device device,
                    const dist::RankPlace& place,
                    RankSession* ranks) {
    const config::ResolvedSettings& resolved = request.resolved;
    const train::RunData data = value_or_fail(train::open_run_data(
        fs::real_file_system(), resolved.settings.data, resolved.settings.model.vocab_size));
    const data::WindowMap windows =
        value_or_fail(data::WindowMap::make(*data.train, resolved.settings.model.block_size));
    // The identity is compared as asked for; what was left open is filled in for a new run.
    config::ResolvedSettings chosen = resolved;
    choose_automatics(chosen, data.vocab_size, windows.window_count(), device, place);
    for (const base::Status& status : {chosen.settings.model.validate(),
                                       config::validate(chosen.settings),
                                       train::check_run_data(data)}) {
        if (!status.ok()) {
            fail(status.error());
        }
    }
    if (request.dry_run) {
        check_rank_count(place.size, chosen.settings.batch.lanes);
        fmt::print("{}", config::resolved_table(chosen, false));
        return ExitCode::kDone;
    }
    if (ranks == nullptr) {
        return run_as_first(request, chosen, data, device, {});
    }
    ranks->check_alike(chosen.settings, data.fingerprint());
    return ranks->rank() == 0 ? lead_run(*ranks, request, chosen, data, device)
                              : follow_run(*ranks, data, device);
}

}  // namespace

ExitCode run_train(const std::vector<std::string>& arguments) {
    const TrainRequest request = parse_train_request(arguments);
    if (request.help) {
        print_train_help();
        return ExitCode::kDone;
    }
    const config::ResolvedSettings& resolved = request.resolved;
    if (request.list_checkpoints) {
        const std::string& configured = resolved.settings.checkpoint.dir;
        return list_checkpoints(
            configured.empty() ? "checkpoints/" + resolved.settings.run.name : configured,
            /*as_json=*/false);
    }
    const dist::LaunchEnvironment& launch = request.started_by;
    if (request.must_start_ranks && request.dry_run) {
        // As each of them would see it.
        const at::Device device = choose_device(resolved.settings.run.device);
        return train_with(request,
                          device,
                          {.size = request.launch.world_size(),
                           .local_size = request.launch.nproc_per_node,
                           .node_count = request.launch.nnodes},
                          nullptr);
    }
    if (request.must_start_ranks) {
        std::vector<std::string> words = {"train"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        dist::LaunchConfig ranks = request.launch;
        // After a failure the others may be saving, as after a signal.
        ranks.grace_seconds = resolved.settings.train.stop_deadline_seconds;
        ranks.time_limit_seconds = resolved.settings.train.time_limit_seconds;
        return start_ranks(ranks, words);
    }
    const at::Device device = choose_device(resolved.settings.run.device, launch.place.local_rank);
    const std::unique_ptr<RankSession> ranks =
        request.dry_run ? nullptr : RankSession::join(launch, resolved.settings.dist, device);
    if (ranks == nullptr) {
        return train_with(request, device, launch.place, nullptr);
    }
    try {
        return train_with(request, device, launch.place, ranks.get());
    } catch (const Failure& failure) {
        throw ranks->explain(failure);
    }
}

}  // namespace holdfast::cli
