// The life of one run, in acts, each written down operation by operation together with what has
// been promised by when. An act begins with everything of the one before on the disk.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/retention.h"
#include "fs/disk_image.h"
#include "fs/simulated_file_system.h"
#include "tiny_trainer.h"

namespace holdfast::checkpoint {

inline const std::string kRunPath = "/run";

// What whoever starts the run again must find.
struct Expectation {
    // At least so new, by (lineage, step); nothing: nothing was published yet.
    std::optional<std::pair<std::int64_t, std::int64_t>> newest_at_least;
    std::set<std::string> labels;  // "rolling/step_00000250": there, and with the right bytes
    // (lineage, step) of the only ones that may be set aside.
    std::set<std::pair<std::int64_t, std::int64_t>> damaged;
    // Save ids of those that may still be in a pool: no start had to read them.
    std::set<std::string> unread;
    std::string log_lines;  // must stand in metrics.jsonl or in a cut tail
};

struct RecordedAct {
    std::string name;
    fs::DiskImage start;
    std::vector<fs::DiskOperation> operations;
    // From which number of carried out operations on, and what; rising.
    std::vector<std::pair<std::size_t, Expectation>> expectations;
    RetentionLimits limits;

    // For a cut after the first `count` operations.
    [[nodiscard]] std::size_t expectation_at(std::size_t count) const;
};

enum class Act {
    kOpening,    // a new run; saves with an owed pool
    kPools,      // opened again, the log cut; best, epoch, keep and backup
    kRetention,  // a limit lowered, then saves that push others out
    kLeftovers,  // a process dies in a save and in a deletion, the next one clears up
    kRepair,     // damaged entries go to quarantine, an older one is taken
    kRollback,   // an older step is chosen and begins a lineage; what is superseded goes first
    kParts,      // saves that ranks write together; a rank dies in one, all die in the next
};
inline constexpr std::array kActNames{
    "opening", "pools", "retention", "leftovers", "repair", "rollback", "parts"};
inline constexpr std::size_t kActCount = kActNames.size();

// Lives up to and including `act` and answers it. The course of the lives 0 and 1 is given; from 2
// on `variant` draws the owed pools, the ranks that write, the limits, the calls at which a process
// dies, how much is damaged, and what else is saved, linked, copied and deleted.
RecordedAct record_act(Act act, std::uint64_t variant = 0);

}  // namespace holdfast::checkpoint
