// Tries what power cuts leave of a recorded act: mounts each state, lets the program start again on
// it, and judges.
//
// For every number of carried out operations the states that fs::PowerCut names are made (all of
// them where they are few, else those its header lists). A state is counted once, by content
// (fs::DiskImage::digest()), and tried once for each set of promises that holds when it may come
// about. Trying it is open_run, resume_load, the cut of the log, and where the program would the
// publishing of a new lineage. Judged is:
//   - a resume point is found, not older than the last published, and its values are right;
//   - every entry that was published and not to be deleted is in its pool, byte for byte, and
//     nothing that is left in a pool is anything else; what an entry owes is there;
//   - nothing is set aside but what had been damaged;
//   - the log is what the manifest says, and the lines cut off are kept;
//   - no pending directory and no trash is left;
//   - one more save, with an owed pool and a pass of deletions, succeeds, keeps the limits, and is
//     what the next start finds (once for each content that the start ends with).
// Of a part of the states, chosen by their digests, the start itself is cut short again after each
// of its operations, and the second start judged the same way.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fs/power_cut.h"
#include "recorded_life.h"

namespace holdfast::checkpoint {

struct ExplorationOptions {
    fs::CutBounds bounds{.exhaustive_max = 128, .pairs_max = 32, .samples = 32};
    // Of the states of a start that is cut short.
    fs::CutBounds nested_bounds{.exhaustive_max = 8, .pairs_max = 2, .samples = 1};
    // One state of so many has its start cut short too; 0: none.
    std::uint64_t nested_one_in = 64;
    // The cut comes after one of so many operations, which the seed chooses.
    std::uint64_t cut_one_in = 1;
    fs::RenameModel rename_model = fs::RenameModel::kAtomic;
    // Operations that the disk is not told of: a mutation of the protocol.
    std::function<bool(const RecordedAct& act, std::size_t operation)> left_out;
    std::uint64_t states_max = std::numeric_limits<std::uint64_t>::max();
    std::size_t violations_max = 1;  // then the exploration ends
};

class CrashExploration {
public:
    explicit CrashExploration(ExplorationOptions options) : options_(std::move(options)) {}

    // One round. Another seed draws other samples and cuts other starts short.
    void explore(const RecordedAct& act, std::uint64_t seed = 0);

    [[nodiscard]] std::uint64_t distinct_states() const { return seen_.size(); }
    // Of those, made by a cut inside a start.
    [[nodiscard]] std::uint64_t nested_states() const { return nested_states_; }
    // Contents first seen since the last call, those of cuts inside a start apart.
    struct NewStates {
        std::vector<std::uint64_t> first_cuts;
        std::vector<std::uint64_t> nested;
    };
    NewStates take_new_states() { return std::exchange(new_states_, {}); }
    // One line each: where the cut was and what was wrong.
    [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

private:
    struct Trial {
        const RecordedAct* act = nullptr;
        std::uint64_t seed = 0;
        std::size_t expectation = 0;
        bool is_nested = false;
        std::string where;
    };
    [[nodiscard]] bool is_done() const;
    bool try_state(const fs::DiskImage& image, const Trial& trial);
    void cut_the_start_short(const fs::DiskImage& image,
                             const std::vector<fs::DiskOperation>& operations,
                             const Trial& trial);

    ExplorationOptions options_;
    std::unordered_set<std::uint64_t> seen_;      // contents
    std::unordered_set<std::uint64_t> tried_;     // contents with what was expected of them
    std::unordered_set<std::uint64_t> saved_on_;  // contents after a start, that took a save
    NewStates new_states_;
    std::uint64_t nested_states_ = 0;
    std::vector<std::string> violations_;
};

}  // namespace holdfast::checkpoint
