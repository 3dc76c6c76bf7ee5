// The copy that a save makes the step loop wait for, beside a plain copy of the same bytes.
//
// Owns a live state of a model's shape, weights and moments, and the Snapshot of it: on a CPU, in
// the memory a run would have (set_up_torch() comes first). Knows nothing of files. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "model/arena.h"
#include "state/snapshot.h"

namespace holdfast::cli {

class CaptureBench {
public:
    explicit CaptureBench(const model::ArenaLayout& layout);

    // memcpy of the three arenas into the snapshot's memory, by one thread. Seconds.
    double copy_by_one_thread();
    // The same cut among libtorch's threads. Seconds.
    double copy_by_all_threads();
    // Snapshot::capture. Seconds.
    double capture();

    [[nodiscard]] state::Snapshot& snapshot() { return snapshot_; }
    // The most memory the process ever had before the snapshot was made.
    [[nodiscard]] std::uint64_t peak_bytes_before_snapshot() const {
        return peak_bytes_before_snapshot_;
    }

private:
    struct ArenaCopy {
        const std::byte* from = nullptr;
        std::byte* to = nullptr;
        std::size_t bytes = 0;
    };
    [[nodiscard]] std::array<ArenaCopy, 3> arena_copies();

    model::ArenaLayout layout_;
    state::LiveTensors live_;
    std::uint64_t peak_bytes_before_snapshot_;
    state::Snapshot snapshot_;
};

}  // namespace holdfast::cli
