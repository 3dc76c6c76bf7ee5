#include "cli/starting_point.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "base/log.h"
#include "checkpoint/ancestry.h"
#include "checkpoint/resume_load.h"
#include "cli/command.h"
#include "cli/run_environment.h"
#include "config/resolve.h"
#include "telemetry/metrics_log.h"
#include "train/part_order.h"

namespace holdfast::cli {

namespace {

using base::ExitCode;
using base::Failure;

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

// Whether the resumed step is in `best`, or does not belong there: it joins only after its line was
// logged, and a run may die in between.
bool is_settled_as_best(const checkpoint::RunDirectory& run,
                        const StartingPoint& point,
                        double val_loss) {
    const std::optional<checkpoint::BestSoFar>& before = point.start.manifest.best;
    const bool is_best = std::isfinite(val_loss) && (!before || val_loss < before->val_loss);
    if (!is_best || !point.resumed_from) {
        return true;
    }
    const checkpoint::Catalog catalog = run.scan();
    return std::any_of(
        catalog.entries.begin(), catalog.entries.end(), [&](const checkpoint::Entry& entry) {
            return entry.pool == checkpoint::Pool::kBest && entry.usable() &&
                   entry.manifest.identity == point.resumed_from->manifest.identity;
        });
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

}  // namespace

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

StartingPoint start_from_checkpoint(const checkpoint::OpenedRun& opened,
                                    const checkpoint::ResumeRequest& resume,
                                    const config::Settings& settings,
                                    const std::string& environment,
                                    TrainingRun& training,
                                    const OtherRanks& others) {
    const auto load = [&](const checkpoint::Entry& entry, checkpoint::Reader& reader) {
        if (others.leader == nullptr) {
            return training.load(reader);
        }
        if (others.disk != nullptr) {
            others.disk->allow(entry.path);
        }
        others.leader->order_load(train::path_for_all_ranks(entry.path));
        return others.leader->gather_statuses(training.load(reader));
    };
    const checkpoint::ResumedFrom resumed =
        value_or_fail(checkpoint::resume_load(opened, resume, load));
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

bool is_finished(const checkpoint::RunDirectory& run,
                 const StartingPoint& point,
                 std::int64_t steps_total) {
    if (point.start.position.step < steps_total || !point.start.resumed_line) {
        return false;
    }
    if (!point.start.evaluation_due) {
        return true;
    }
    const auto line = telemetry::read_line_at(
        run.file_system(), run.paths().in_run(checkpoint::kLogName), point.log.bytes);
    return line && line->step == point.start.position.step && line->val_loss() &&
           is_settled_as_best(run, point, *line->val_loss());
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

}  // namespace holdfast::cli
