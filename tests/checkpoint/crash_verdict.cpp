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

using Digests = std::map<std::string, std::uint64_t>;  // by file name

Digests digests_in(const fs::DiskImage& image, const std::string& folder) {
    Digests digests;
    for (const auto& [name, number] : image.find(image.at(folder))->entries) {
        if (name != kManifestName) {
            digests[name] = fs::digest_of_bytes(image.find(number)->bytes);
        }
    }
    return digests;
}

// The tensor files of a step are the same bytes wherever and whenever so many ranks write them.
const Digests& tensor_digests(std::int64_t step, std::int64_t rank_count) {
    static std::map<std::pair<std::int64_t, std::int64_t>, Digests> known;
    const auto [place, is_new] = known.try_emplace({step, rank_count});
    if (!is_new) {
        return place->second;
    }
    fs::SimulatedFileSystem disk;
    HF_CHECK(disk.make_directory(kRunPath).ok(), "no directory in a new simulated disk");
    const std::string id = make_save_id();
    auto begun = PendingSave::open(disk, RunPaths::of(kRunPath), id, kTinyBytes, shared_buffers());
    const TinyState state = TinyState::of_step(step);
    const Manifest manifest = tiny_manifest(make_save_id(), step);
    const auto save =
        rank_count == 1
            ? sealed_save(std::move(begun), manifest)
            : sealed_parted_save(
                  disk, std::move(begun), parted(state, rank_count), manifest, shared_buffers());
    HF_CHECK(save.ok(), "a save on a new simulated disk failed");
    place->second = digests_in(disk.image(), kRunPath + '/' + pending_name(id));
    return place->second;
}

bool has_right_bytes(const fs::DiskImage& image, const Entry& entry) {
    // The model's file, and one of the optimizer for each rank.
    const auto ranks = static_cast<std::int64_t>(entry.manifest.files.size()) - 1;
    return digests_in(image, entry.path) == tensor_digests(entry.manifest.identity.step, ranks);
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
        if (!expected.damaged.contains({fallback.lineage, fallback.step})) {
            return fmt::format("{} was passed over: {}", fallback.label, fallback.why);
        }
    }
    return trainer.log_matched() ? "" : "the log is not what the manifest says";
}

// Whether `entry` is one that no start has read, also not the one that has just been.
bool may_be_damaged(const Entry& entry, const TinyTrainer& trainer, const Expectation& expected) {
    if (!trainer.resumed() || !expected.unread.contains(entry.manifest.identity.save_id)) {
        return false;
    }
    const Entry& resumed = trainer.resumed()->entry;
    const auto order = [](const Identity& identity) {
        return std::pair(identity.lineage, identity.step);
    };
    return entry.path != resumed.path &&
           order(entry.manifest.identity) <= order(resumed.manifest.identity);
}

std::string judge_entries(const fs::DiskImage& image,
                          const TinyTrainer& trainer,
                          const Expectation& expected,
                          bool may_owe) {
    const Catalog catalog = trainer.run().scan();
    std::set<std::string> missing = expected.labels;
    for (const Entry& entry : catalog.entries) {
        if (!entry.usable()) {
            return fmt::format("{} {}", entry.label(), entry.why);
        }
        if (!has_right_bytes(image, entry) && !may_be_damaged(entry, trainer, expected)) {
            return fmt::format("{} has wrong bytes", entry.label());
        }
        if (!may_owe && !outstanding_pools(entry, catalog).empty()) {
            return fmt::format("{} still owes a pool", entry.label());
        }
        missing.erase(entry.label());
    }
    return missing.empty() ? "" : fmt::format("{} is gone", *missing.begin());
}

// What was set aside is what had been damaged.
std::string judge_quarantine(fs::FileSystem& disk, const Expectation& expected) {
    const auto names = disk.list(kRunPath + "/quarantine");
    for (const std::string& name : names.value()) {
        const auto entry =
            scan_entry(disk, kRunPath + "/quarantine/" + name, Pool::kRolling, std::string());
        const bool is_known = entry.ok() && entry.value().usable();
        const Identity identity = is_known ? entry.value().manifest.identity
                                           : identity_by_name(name.substr(name.find('_', 7) + 1));
        // One whose deletion was cut short tells no more than its name; of an epoch that is no
        // step.
        const bool is_unknown = !is_known && identity.step < 0;
        if (!is_unknown && !expected.damaged.contains({identity.lineage, identity.step})) {
            return fmt::format("{} is in quarantine", name);
        }
    }
    return "";
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
    return judge_quarantine(disk, expected);
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
        // What had been settled by an entry that is set aside is owed again until the next pass.
        const bool may_owe = !expected.damaged.empty();
        wrong = judge_entries(disk.image(), trainer, expected, may_owe);
    }
    return wrong.empty() ? judge_folders(disk, expected) : wrong;
}

std::string judge_next_save(fs::SimulatedFileSystem& disk,
                            const RetentionLimits& limits,
                            const std::set<std::string>& unread) {
    Expectation expected;
    expected.unread = unread;
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
    return wrong.empty() ? judge_entries(disk.image(), trainer, expected, false) : wrong;
}

}  // namespace holdfast::checkpoint
