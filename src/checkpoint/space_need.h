// The bytes that the checkpoints of a whole run need: a pure plan, from the limits of the pools,
// the size of one checkpoint and the saves to come. The formula stands in docs/operations.md.
//
// The worst case is counted: pools may share blocks by hard links, but a best checkpoint that left
// `rolling` holds its own. Not counted: quarantine (damaged entries that were paid for already,
// three at most), manifests and logs. What lies in the pools already is needed and there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/catalog.h"
#include "checkpoint/retention.h"

namespace holdfast::checkpoint {

enum class BackupPlace {
    kNone,
    kRunDisk,
    kOtherDisk,
};

// Upper bounds, each of saves from now to the end of the run.
struct SavesToCome {
    std::int64_t rolling = 0;
    std::int64_t best = 0;  // evaluations
    std::int64_t epochs = 0;
    std::int64_t kept = 0;  // multiples of keep_every
};

struct SpacePlan {
    std::uint64_t checkpoint_bytes = 0;  // the files of one checkpoint
    RetentionLimits limits;
    SavesToCome to_come;
    BackupPlace backup = BackupPlace::kNone;
};

struct SpacePart {
    std::int64_t count = 0;  // checkpoints, above 0
    std::string_view words;  // "rolling", "being written"
};

// Of one disk.
struct DiskNeed {
    std::vector<SpacePart> parts;
    std::uint64_t bytes = 0;          // of all parts
    std::uint64_t present_bytes = 0;  // of the checkpoints that are there, shared blocks once
    std::uint64_t to_come_bytes = 0;  // what still has to find room

    // What a disk with `free_bytes` lacks to take what is to come and leave kSpaceMarginBytes; 0:
    // it fits.
    [[nodiscard]] std::uint64_t missing_bytes(std::uint64_t free_bytes) const;
    // "10 rolling, 1 being written, 10 emergency, 2 best"
    [[nodiscard]] std::string in_words() const;
};

struct SpaceNeed {
    DiskNeed run;     // the backups are in it when they share the disk
    DiskNeed backup;  // only with kOtherDisk; else all 0
};

// Sums stay at the largest number there is rather than overflow.
SpaceNeed plan_space(const Catalog& catalog, const SpacePlan& plan);

// What backup=auto means: whether backups at `place` find room, on the disk they share with the run
// beside everything else. `free_bytes` is that disk's.
bool backup_fits(const Catalog& catalog,
                 SpacePlan plan,
                 BackupPlace place,
                 std::uint64_t free_bytes);

}  // namespace holdfast::checkpoint
