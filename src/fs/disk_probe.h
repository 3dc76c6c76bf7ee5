// What a disk can do of what the store asks of it, tried with small files. What `holdfast doctor`
// asks of the place of a run.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::fs {

struct DiskProbe {
    // What the store can do without, and says so when it must.
    bool has_locks = false;
    bool has_reservation = false;  // fallocate
    bool has_hard_links = false;
    bool has_symlinks = false;
    bool has_direct_reads = false;  // O_DIRECT: read-back is from the device
    std::uint64_t bytes = 0;        // written and read back
    double write_seconds = 0;       // fsync included
    double read_seconds = 0;
    double sync_seconds = 0;  // a small file and its name, made durable
};

// Makes a folder below `directory` (which must be there), writes `bytes` (at least 1 MiB) into it,
// reads them back, and removes the folder, also on an error. An error is what no store can do
// without: writing, fsync, rename without replacing, fsync of a directory; kCorrupt where other
// bytes came back. Blocks on the disk.
base::Result<DiskProbe> probe_disk(FileSystem& file_system,
                                   const std::string& directory,
                                   std::uint64_t bytes);

}  // namespace holdfast::fs
