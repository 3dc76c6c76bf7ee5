#include "tiny_trainer.h"

#include <utility>

#include "checkpoint/pool_link.h"
#include "checkpoint/reclaim.h"

namespace holdfast::checkpoint {

using base::Result;
using base::Status;

namespace {

constexpr std::string_view kConfig = R"({"model":{"n_layer":2}})";

OpenRunOptions tiny_options(const std::string& directory, const ResumeRequest& resume) {
    OpenRunOptions options;
    options.resume = resume;
    options.directory = directory;
    options.identity.config = kConfig;
    options.identity.data_fingerprint = "abc";
    options.identity.lanes = 2;
    options.now_utc_seconds = 1'795'000'000;
    options.differences = [](const RunIdentity& stored) {
        return stored.config == kConfig ? std::vector<std::string>{}
                                        : std::vector<std::string>{"model.n_layer"};
    };
    return options;
}

}  // namespace

PartedState parted(const TinyState& state, std::int64_t rank_count) {
    const auto ranks = static_cast<std::uint64_t>(rank_count);
    PartedState parts{
        state.model_sources(), state.optimizer_sources(), {}, Ownership{}, Ownership{}};
    parts.model_owned = cut_evenly(elements_of(parts.model), ranks);
    parts.optimizer_owned = cut_evenly(elements_of(parts.optimizer), ranks);
    return parts;
}

TinyTrainer::TinyTrainer(fs::FileSystem& file_system, std::string directory, RetentionLimits limits)
    : file_system_(file_system), directory_(std::move(directory)), limits_(limits) {}

Status TinyTrainer::start(const std::string& resume) {
    const ResumeRequest request = parse_resume_request(resume).value();
    Result<OpenedRun> opened =
        open_run(file_system_, tiny_options(directory_, request), shared_buffers());
    if (!opened.ok()) {
        return opened.error();
    }
    opened_ = std::move(opened).value();
    bool must_publish_first = opened_->fresh;
    if (!opened_->fresh) {
        Result<ResumedFrom> resumed =
            resume_load(*opened_, request, [&](const Entry& /*entry*/, Reader& reader) {
                return reader.load(state_.targets(), Unrequested::kRefuse, {.thread_count = 1});
            });
        if (!resumed.ok()) {
            return resumed.error();
        }
        resumed_ = std::move(resumed).value();
        const Manifest& stored = resumed_->entry.manifest;
        line_.identity.lineage = stored.identity.lineage;
        line_.ancestors = stored.ancestors;
        last_published_ = stored.identity;
        must_publish_first = !resumed_->is_head;
        if (must_publish_first) {
            begin_lineage(line_, stored, resumed_->next_lineage);
        }
    }
    if (Status back = bring_log_back(); !back.ok()) {
        return back;
    }
    if (must_publish_first) {
        const Result<PublishedCheckpoint> first =
            save(resumed_ ? resumed_->entry.manifest.identity.step : 0);
        return first.ok() ? Status{} : Status(first.error());
    }
    return Status{};
}

Status TinyTrainer::bring_log_back() {
    const std::string path = run().paths().in_run(kLogName);
    const LogPrefix stored = resumed_ ? resumed_->entry.manifest.log : LogPrefix{};
    const Identity identity = resumed_ ? resumed_->entry.manifest.identity : Identity{};
    const std::string id = identity.save_id.empty() ? make_save_id() : identity.save_id;
    const Result<telemetry::LogCut> cut =
        telemetry::cut_log(file_system_,
                           path,
                           {stored.bytes, stored.checksum},
                           run().paths().in_run(log_tail_name(identity.lineage, id, 1)));
    if (!cut.ok()) {
        return cut.error();
    }
    log_matched_ = cut.value().matches;
    Result<std::unique_ptr<telemetry::MetricsLog>> log =
        telemetry::MetricsLog::open(file_system_, path);
    if (!log.ok()) {
        return log.error();
    }
    log_ = std::move(log).value();
    return Status{};
}

void TinyTrainer::log(std::int64_t step) {
    telemetry::StepMetrics line;
    line.step = step;
    line.loss = 3.25;
    line.tokens = step * 64;
    log_->append(line);
}

Result<PublishedCheckpoint> TinyTrainer::save(std::int64_t step,
                                              std::vector<Pool> owed,
                                              std::int64_t rank_count) {
    if (const Status synced = log_->sync(); !synced.ok()) {
        return synced.error();
    }
    Manifest manifest = tiny_manifest(run().identity().run_id, step);
    manifest.identity.lineage = line_.identity.lineage;
    manifest.ancestors = line_.ancestors;
    manifest.owed = std::move(owed);
    const telemetry::LogPosition position = log_->position();
    manifest.log = {position.bytes, position.checksum};
    Result<PendingSave> begun = run().begin_save(make_save_id(), kTinyBytes, shared_buffers());
    const TinyState state = TinyState::of_step(step);
    Result<PendingSave> pending = rank_count == 1 ? sealed_save(std::move(begun), manifest)
                                                  : sealed_parted_save(file_system_,
                                                                       std::move(begun),
                                                                       parted(state, rank_count),
                                                                       manifest,
                                                                       shared_buffers());
    if (!pending.ok()) {
        return pending.error();
    }
    Result<PublishedCheckpoint> published =
        run().publish(std::move(pending).value(), Pool::kRolling, shared_buffers());
    if (published.ok()) {
        last_published_ = published.value().manifest.identity;
    }
    return published;
}

Result<PublishedCheckpoint> TinyTrainer::link(const PublishedCheckpoint& published, Pool pool) {
    return run().link(published, pool, shared_buffers());
}

Result<PublishedCheckpoint> TinyTrainer::copy(const PublishedCheckpoint& published, Pool pool) {
    const RunPaths& paths = run().paths();
    Result<PublishedCheckpoint> copied =
        link_into(file_system_, paths, published.path, published.manifest, pool, shared_buffers());
    if (copied.ok()) {
        const Catalog copies =
            scan_pools(file_system_, paths, run().identity().run_id, kBackupPools);
        static_cast<void>(
            Reclaimer(file_system_, paths).execute(plan_deletions(copies, limits_)).failures);
    }
    return copied;
}

ReclaimReport TinyTrainer::tidy() {
    return run().tidy(limits_, shared_buffers());
}

}  // namespace holdfast::checkpoint
