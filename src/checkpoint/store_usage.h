// What a run directory holds on disk, file by file: the pools, and what is neither seen by a resume
// nor gone yet. Bytes are blocks really held, and a file of several names is one file.
//
// Reads directories and inodes, never contents. What vanishes while it looks is left out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct StoredFile {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t disk_bytes = 0;  // blocks held
    std::uint64_t link_count = 1;  // names of the file, wherever they are
};

enum class StoredKind {
    kEntry,       // of a pool, whatever its state
    kQuarantine,  // `quarantine/<D6>_...`
    kTrash,       // in `.trash`: its deletion was begun
    kPending,     // `.pending-<id>`: a save that was begun
    kTemporary,   // `run.json.new`, `latest.new`
};

struct StoredItem {
    StoredKind kind = StoredKind::kEntry;
    std::string label;  // as in the run directory: "rolling/step_00000250", ".trash/<id>"
    std::string path;
    std::vector<StoredFile> files;

    // Of all its files, shared ones included; a file of two names within the item once.
    [[nodiscard]] std::uint64_t disk_bytes() const;
};

// All regular files under `path` (which may be one itself), symlinks not followed. Nothing when it
// is gone; kIo when the system refuses.
base::Result<std::vector<StoredFile>> files_under(fs::FileSystem& file_system,
                                                  const std::string& path);

// Every entry of `catalog`, then both quarantines, and trash, pending saves and temporaries of the
// run directory, those of second copies in it included.
base::Result<std::vector<StoredItem>> stored_items(fs::FileSystem& file_system,
                                                   const RunPaths& paths,
                                                   const Catalog& catalog);

// What lies in the run directory, its pools and its quarantine under names that this program does
// not give ("rolling/notes.txt"): never touched. Folders that cannot be listed are passed over.
std::vector<std::string> unknown_names(fs::FileSystem& file_system, const RunPaths& paths);

// Blocks held by `items`, each file once.
std::uint64_t disk_bytes_of(std::span<const StoredItem> items);

// Blocks that come free when all of `items` go: of the files whose every name is in them.
std::uint64_t freed_bytes_of(std::span<const StoredItem> items);

}  // namespace holdfast::checkpoint
