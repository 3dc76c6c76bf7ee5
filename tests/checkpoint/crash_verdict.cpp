#include "crash_verdict.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

namespace {

// The tensor files of a step are the same bytes wherever and whenever they are written.
std::pair<std::uint64_t, std::uint64_t> tensor_digests(std::int64_t step) {
    static std::map<std::int64_t, std::pair<std::uint64_t, std::uint64_t>> known;
    const auto found = known.find(step);
    if (found != known.end()) {
        return found->second;
    }
    fs::SimulatedFileSystem disk;
    HF_CHECK(disk.make_directory(kRunPath).ok(), "no directory in a new simulated disk");
    const std::string id = make_save_id();
    auto save = PendingSave::open(disk, RunPaths::of(kRunPath), id, kTinyBytes, shared_buffers());
    const TinyState state = TinyState::of_step(step);
    const bool added = save.value().add(kModelFileName, state.model_sources()).ok() &&
                       save.value().add(optimizer_file_name(1, 1), state.optimizer_sources()).ok();
    HF_CHECK(added, "a save on a new simulated disk failed");
    const fs::DiskImage image = disk.image();
    const std::string folder = kRunPath + '/' + pending_name(id) + '/';
    const auto digest = [&](const std::string& name) {
        return fs::digest_of_bytes(image.find(image.at(folder + name))->bytes);
    };
    return known[step] = {digest(std::string(kModelFileName)), digest(optimizer_file_name(1, 1))};
}

bool has_right_bytes(const fs::DiskImage& image, const Entry& entry) {
    const auto digest = [&](const std::string& name) {
        return fs::digest_of_bytes(image.find(image.at(entry.path + '/' + name))->bytes);
    };
    return tensor_digests(entry.manifest.identity.step) ==
           std::pair(digest(std::string(kModelFileName)), digest(optimizer_file_name(1, 1)));
}

std::string judge_identity(const TinyTrainer& trainer, const Expectation& expected) {
    if (!trainer.resumed()) {
        return expected.newest_at_least ? "a fresh run where checkpoints were published" : "";
    }
    const ResumedFrom& resumed = *trainer.resumed();
    const Identity& identity = resumed.entry.manifest.identity;
    if (expected.newest_at_least &&
        std::pair(identity.lineage, identity.step) < *expected.newest_at_least) {
        return fmt::format("resumed at lineage {} step {}, published was lineage {} step {}",
                           identity.lineage,
                           identity.step,
                           expected.newest_at_least->first,
                           expected.newest_at_least->second);
    }
    return trainer.state() == TinyState::of_step(identity.step)
               ? ""
               : fmt::format("wrong values at step {}", identity.step);
}

std::string judge_resume(const TinyTrainer& trainer, const Expectation& expected) {
    std::string wrong = judge_identity(trainer, expected);
    if (!wrong.empty() || !trainer.resumed()) {
        return wrong;
    }
    for (const Fallback& fallback : trainer.resumed()->fallbacks) {
        if (!expected.damaged.contains(fallback.label)) {
            return fmt::format("{} was passed over: {}", fallback.label, fallback.why);
        }
    }
    return trainer.log_matched() ? "" : "the log is not what the manifest says";
}

std::string judge_entries(const fs::DiskImage& image,
                          const Catalog& catalog,
                          const Expectation& expected) {
    std::set<std::string> missing = expected.labels;
    for (const Entry& entry : catalog.entries) {
        if (!entry.usable()) {
            return fmt::format("{} {}", entry.label(), entry.why);
        }
        if (!has_right_bytes(image, entry)) {
            return fmt::format("{} has wrong bytes", entry.label());
        }
        // What had been settled by an entry that is set aside is owed again until the next pass.
        if (expected.damaged.empty() && !outstanding_pools(entry, catalog).empty()) {
            return fmt::format("{} still owes a pool", entry.label());
        }
        missing.erase(entry.label());
    }
    return missing.empty() ? "" : fmt::format("{} is gone", *missing.begin());
}

std::string judge_folders(fs::FileSystem& disk, const Expectation& expected) {
    std::string logs;
    const auto names = disk.list(kRunPath);
    for (const std::string& name : names.value()) {
        if (parse_pending_name(name)) {
            return fmt::format("{} is left", name);
        }
        if (name.starts_with("metrics.") && name.ends_with(".jsonl")) {
            logs += fs::read_file(disk, kRunPath + '/' + name, kManifestBytesMax).value();
        }
    }
    if (logs.find(expected.log_lines) == std::string::npos) {
        return "lines of the log are lost";
    }
    // A hint, but no wrong one: it moves after the entry is on the disk.
    const base::Result<std::string> latest = disk.read_symlink(kRunPath + "/latest");
    if (latest.ok() && expected.damaged.empty() &&
        !fs::exists(disk, kRunPath + '/' + latest.value()).value()) {
        return "latest points at nothing";
    }
    if (!disk.list(kRunPath + "/.trash").value().empty()) {
        return "the trash is not empty";
    }
    const auto quarantined = disk.list(kRunPath + "/quarantine");
    for (const std::string& name : quarantined.value()) {
        const bool allowed =
            std::any_of(expected.damaged.begin(), expected.damaged.end(), [&](std::string label) {
                std::replace(label.begin(), label.end(), '/', '_');
                return name.ends_with('_' + label);
            });
        if (!allowed) {
            return fmt::format("{} is in quarantine", name);
        }
    }
    return "";
}

}  // namespace

std::string judge_start(fs::SimulatedFileSystem& disk,
                        const TinyTrainer& trainer,
                        const base::Status& started,
                        const Expectation& expected) {
    if (!started.ok()) {
        return started.error().what;
    }
    std::string wrong = judge_resume(trainer, expected);
    if (wrong.empty()) {
        wrong = judge_entries(disk.image(), trainer.run().scan(), expected);
    }
    return wrong.empty() ? judge_folders(disk, expected) : wrong;
}

std::string judge_next_save(fs::SimulatedFileSystem& disk, const RetentionLimits& limits) {
    Expectation expected;
    {
        TinyTrainer trainer(disk, kRunPath, limits);
        if (const base::Status again = trainer.start(); !again.ok()) {
            return "starting once more: " + again.error().what;
        }
        const std::int64_t step = trainer.last_published().step + 1;
        const auto published = trainer.save(step, {Pool::kBest});
        if (!published.ok()) {
            return "the next save: " + published.error().what;
        }
        const ReclaimReport report = trainer.tidy();
        if (!report.failures.empty()) {
            return "the next deletions: " + report.failures.front();
        }
        expected.newest_at_least = {published.value().manifest.identity.lineage, step};
        expected.labels = {RunPaths::relative(Pool::kRolling, published.value().name),
                           RunPaths::relative(Pool::kBest, published.value().name)};
    }
    TinyTrainer trainer(disk, kRunPath, limits);
    const base::Status started = trainer.start();
    if (!started.ok()) {
        return "after the next save: " + started.error().what;
    }
    std::int64_t rolling = 0;
    const Catalog catalog = trainer.run().scan();
    for (const Entry& entry : catalog.entries) {
        rolling += entry.pool == Pool::kRolling ? 1 : 0;
    }
    if (rolling > limits.keep_rolling) {
        return fmt::format("{} entries in rolling, the limit is {}", rolling, limits.keep_rolling);
    }
    const std::string wrong = judge_resume(trainer, expected);
    return wrong.empty() ? judge_entries(disk.image(), catalog, expected) : wrong;
}

}  // namespace holdfast::checkpoint
