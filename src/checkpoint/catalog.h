// What is in a run directory: every entry of every pool, as its manifest tells it.
//
// A scan reads manifests and file lengths, not tensor bytes (checkpoint/reader does that). It never
// changes anything and survives a directory that is being written and rotated beside it. Order is
// (lineage, step, save id), never a clock and never a name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/manifest.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

enum class EntryState {
    kPublished,   // manifest sound, every file there with its length
    kDamaged,     // `why` says what is wrong; never resumed, moved to quarantine at the next resume
    kUnreadable,  // the system refused just now (EIO, ESTALE, EACCES); left alone
    kForeign,     // sound, but of another run: never resumed by itself, never deleted
};

struct Entry {
    Pool pool = Pool::kRolling;
    std::string name;
    std::string path;
    EntryState state = EntryState::kPublished;
    std::string why;  // empty when kPublished
    // Only meaningful when kPublished or kForeign; otherwise identity.lineage and .step come from
    // the name where it tells them (step -1 where it does not), and run_id is empty unless the
    // manifest itself is sound.
    Manifest manifest;
    std::uint64_t device = 0;  // of the manifest file: entries that share it are one copy
    std::uint64_t inode = 0;
    std::uint64_t bytes = 0;         // of all files, by the manifest
    std::uint64_t shared_bytes = 0;  // of those, also held by another name (link count > 1)

    [[nodiscard]] bool usable() const { return state == EntryState::kPublished; }
    // "rolling/step_00000250"
    [[nodiscard]] std::string label() const { return RunPaths::relative(pool, name); }
};

struct Catalog {
    std::vector<Entry> entries;  // sorted: oldest first
    // Pools that could not be listed, one line each, and which.
    std::vector<std::string> unreadable;
    std::vector<Pool> unlisted{};
};

// `run_id` empty: every sound entry is kPublished. A missing pool folder is an empty pool. An entry
// that vanishes during the scan is left out.
Catalog scan_pools(fs::FileSystem& file_system,
                   const RunPaths& paths,
                   const std::string& run_id,
                   std::span<const Pool> pools = kAllPools);

// One entry directory by path, wherever it is. kNotFound when there is no directory.
base::Result<Entry> scan_entry(fs::FileSystem& file_system,
                               const std::string& path,
                               Pool pool,
                               const std::string& run_id);

// What a name tells of an entry whose manifest is not believed: lineage, and step (-1 unknown).
Identity identity_by_name(const std::string& name);

// The pools of entry.manifest.owed that it has not joined. A pool that is kept for ever (epoch,
// keep) is settled when it holds the identity; any other also when it holds a later one, or a later
// one owes it too: it would be rotated away again. So a pool that cannot be joined pins one entry,
// not all that come.
std::vector<Pool> outstanding_pools(const Entry& entry, const Catalog& catalog);

}  // namespace holdfast::checkpoint
