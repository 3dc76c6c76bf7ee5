// All that `checkpoints list` tells of a run, gathered before a word of it is printed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/store_usage.h"
#include "cli/stored_run.h"
#include "fs/file_system.h"

namespace holdfast::cli {

struct ListedCheckpoint {
    checkpoint::Entry entry;
    std::optional<double> val_loss;  // where an evaluation of the step is known
    bool is_superseded = false;      // a rollback left it behind

    // Of the entry's bytes, those that no other name holds: what deleting it alone would free.
    [[nodiscard]] std::uint64_t own_bytes() const { return entry.bytes - entry.shared_bytes; }
};

// The disk that a folder lies on.
struct DiskSpace {
    std::string path;
    fs::SpaceStatus space;

    [[nodiscard]] double full_percent() const;
};

struct RunListing {
    StoredRun run;
    std::vector<ListedCheckpoint> checkpoints;  // as run.catalog: oldest first
    std::vector<checkpoint::StoredItem> items;  // on disk
    std::optional<std::size_t> latest;          // what `--resume latest` would take first
    std::optional<std::size_t> best;            // what `--resume best` would
    std::optional<DiskSpace> disk;
    std::optional<DiskSpace> backup_disk;  // only when it is another one

    [[nodiscard]] std::uint64_t disk_bytes(checkpoint::StoredKind kind) const;
    [[nodiscard]] bool has_superseded() const;
};

// Errors end the command, as look_at_run().
RunListing list_run(fs::FileSystem& file_system, const std::string& directory);

}  // namespace holdfast::cli
