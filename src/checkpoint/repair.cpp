#include "checkpoint/repair.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "checkpoint/entry_copy.h"
#include "checkpoint/pool_link.h"
#include "checkpoint/publish.h"
#include "checkpoint/quarantine.h"
#include "checkpoint/reader.h"

namespace holdfast::checkpoint {

using base::Result;
using base::Status;

namespace {

// One thread, so that the calls over the seam have one order.
constexpr int kVerifyThreads = 1;

bool shares_files(const Entry& a, const Entry& b) {
    return a.inode != 0 && a.device == b.device && a.inode == b.inode;
}

// Another entry of the same checkpoint that is not known to be damaged too.
bool is_copy_of(const Entry& other, const Entry& damaged) {
    if (!other.usable() || other.path == damaged.path) {
        return false;
    }
    const Manifest& manifest = other.manifest;
    if (damaged.usable()) {
        return manifest.identity == damaged.manifest.identity && !shares_files(other, damaged);
    }
    // Its manifest cannot be believed; within one run, pool and name say which checkpoint it was.
    std::optional<CheckpointName> name = parse_checkpoint_name(damaged.name);
    if (!name) {
        return false;
    }
    name->suffix = 1;
    return *name == name_in_pool(damaged.pool,
                                 manifest.identity.step,
                                 manifest.cursor.epoch,
                                 manifest.identity.lineage,
                                 manifest.created_utc_seconds);
}

// Where the sound copy is written, complete and verified.
Result<std::string> fill_pending(const RunDirectory& run,
                                 const Entry& source,
                                 Pool pool,
                                 TransferBuffers& buffers) {
    fs::FileSystem& file_system = run.file_system();
    Sharing sharing = Sharing::kCopies;
    if (!is_backup(source.pool)) {
        Result<Reader> reader = Reader::open(file_system, source.path);
        const Status sound =
            reader.ok() ? reader.value().verify(kVerifyThreads) : Status(reader.error());
        if (!sound.ok()) {
            return sound.error();
        }
        sharing = Sharing::kLinks;
    }
    const Result<std::string> pending =
        make_pending_directory(file_system, run.paths(), pool, make_save_id());
    if (!pending.ok()) {
        return pending;
    }
    const Status filled =
        fill_entry(file_system, source.path, pending.value(), source.manifest, sharing, buffers);
    if (!filled.ok()) {
        // Best effort: a leftover is cleared when the run is opened next.
        static_cast<void>(remove_tree(file_system, pending.value()).ok());
        return filled.error();
    }
    return pending;
}

// The damaged entry goes, the pending directory takes its name.
Result<Entry> exchange(const RunDirectory& run, const std::string& pending, const Entry& damaged) {
    fs::FileSystem& file_system = run.file_system();
    const RunPaths& paths = run.paths();
    const Result<std::string> moved = quarantine_entry(file_system, paths, damaged);
    const Result<CheckpointName> name =
        moved.ok()
            ? publish_directory(
                  file_system, paths, pending, damaged.pool, *parse_checkpoint_name(damaged.name))
            : Result<CheckpointName>(moved.error());
    if (!name.ok()) {
        static_cast<void>(remove_tree(file_system, pending).ok());  // as in fill_pending
        return name.error();
    }
    return scan_entry(file_system,
                      fs::join(paths.pool(damaged.pool), to_string(name.value())),
                      damaged.pool,
                      run.identity().run_id);
}

// The first copy that turns out sound.
std::optional<Repair> repair_one(const RunDirectory& run,
                                 const Entry& damaged,
                                 TransferBuffers& buffers) {
    const Catalog catalog = run.scan();
    for (const Entry& source : catalog.entries) {
        if (!is_copy_of(source, damaged)) {
            continue;
        }
        const Result<std::string> pending = fill_pending(run, source, damaged.pool, buffers);
        const Result<Entry> repaired =
            pending.ok() ? exchange(run, pending.value(), damaged) : Result<Entry>(pending.error());
        if (!repaired.ok()) {
            base::log_warning("{} cannot be repaired from {}: {}",
                              damaged.label(),
                              source.label(),
                              repaired.error().what);
            continue;
        }
        return Repair{repaired.value(),
                      {fmt::format("{} was damaged ({}); repaired from {}",
                                   damaged.label(),
                                   damaged.why,
                                   source.label())}};
    }
    return std::nullopt;
}

}  // namespace

std::optional<Repair> repair_entry(const RunDirectory& run, const Entry& damaged) {
    if (is_backup(damaged.pool)) {
        return std::nullopt;
    }
    const Catalog before = run.scan();
    const bool has_copy =
        std::any_of(before.entries.begin(), before.entries.end(), [&](const Entry& other) {
            return is_copy_of(other, damaged);
        });
    if (!has_copy) {
        return std::nullopt;
    }
    TransferBuffers buffers;
    std::optional<Repair> repair = repair_one(run, damaged, buffers);
    if (!repair || !damaged.usable()) {
        return repair;
    }
    for (const Entry& twin : before.entries) {
        if (twin.path == damaged.path || !shares_files(twin, damaged)) {
            continue;
        }
        Entry with_it = twin;
        with_it.why = fmt::format("it shares its files with {}", damaged.label());
        if (const std::optional<Repair> also = repair_one(run, with_it, buffers)) {
            repair->told.insert(repair->told.end(), also->told.begin(), also->told.end());
        }
    }
    return repair;
}

Result<Entry> restore_from_backup(const RunDirectory& run, const Entry& backup) {
    TransferBuffers buffers;
    const Pool pool = backup.pool == Pool::kBackupBest ? Pool::kBest : Pool::kRolling;
    const Result<PublishedCheckpoint> restored = link_into(run.file_system(),
                                                           run.paths(),
                                                           backup.path,
                                                           backup.manifest,
                                                           pool,
                                                           buffers,
                                                           Sharing::kCopies);
    if (!restored.ok()) {
        return restored.error();
    }
    return scan_entry(run.file_system(), restored.value().path, pool, run.identity().run_id);
}

}  // namespace holdfast::checkpoint
