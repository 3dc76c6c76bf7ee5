// Where the parts of a run directory are. Plain path arithmetic; nothing here touches the disk.
#pragma once

#include <string>
#include <string_view>

#include "checkpoint/checkpoint_name.h"

namespace holdfast::checkpoint {

struct RunPaths {
    std::string directory;         // the run directory, as the user gave it
    std::string backup_directory;  // where backup/ lives: <directory>/backup unless on another disk

    // Both from the configured values; an empty `backup_dir` means inside the run directory.
    static RunPaths of(const std::string& directory, const std::string& backup_dir = {});

    [[nodiscard]] std::string in_run(std::string_view name) const;
    // The folder of a pool.
    [[nodiscard]] std::string pool(Pool pool) const;
    // Where pending directories for a pool are made: the same disk as the pool.
    [[nodiscard]] std::string pending_root(Pool pool) const;
    // The trash of the disk that holds a pool.
    [[nodiscard]] std::string trash(Pool pool) const;
    // Where damaged entries of a pool go: the same disk.
    [[nodiscard]] std::string quarantine(Pool pool) const;
    // Whether the second copies lie in the run directory, and not on a disk of their own.
    [[nodiscard]] bool backup_is_inside() const;
    // "rolling/step_00000250", relative to the run directory: for messages and `latest`.
    [[nodiscard]] static std::string relative(Pool pool, std::string_view name);
    // "quarantine/<name>", "backup/quarantine/<name>": likewise.
    [[nodiscard]] static std::string in_quarantine(Pool pool, std::string_view name);
};

}  // namespace holdfast::checkpoint
