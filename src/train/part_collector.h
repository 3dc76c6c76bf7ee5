// Rank 0's side of a save by many ranks: tells the other ranks what to do with their snapshots and
// waits for their answers, over a connection of its own to the store, so that no step waits for it.
//
// Owns the connection. The saver's thread. Blocks as long as the slowest rank takes, at most
// `timeout_seconds`. Errors: what a rank answered, "rank 2: ..." before it; kIo when one did not
// answer in time or the store is gone.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "checkpoint/part_record.h"
#include "dist/rank_store.h"
#include "train/part_order.h"
#include "train/rank_leader.h"

namespace holdfast::train {

class PartCollector {
public:
    // `leader` must outlive it.
    PartCollector(std::unique_ptr<dist::RankStore> store,
                  const RankLeader& leader,
                  double timeout_seconds)
        : store_(std::move(store)), leader_(leader), timeout_seconds_(timeout_seconds) {}

    [[nodiscard]] int ranks() const { return leader_.ranks(); }
    // The ticket of the snapshots that all ranks captured last.
    [[nodiscard]] std::int64_t ticket() const { return leader_.newest_ticket(); }

    // All other ranks begin.
    base::Status tell(const PartOrder& order);
    // Of ranks 1, 2, ...; to be called once after each tell(), whatever came of rank 0's own part.
    base::Result<std::vector<PartAnswer>> collect();

private:
    base::Result<PartAnswer> wait_for(std::int64_t rank, double end_seconds);

    std::unique_ptr<dist::RankStore> store_;
    const RankLeader& leader_;
    double timeout_seconds_;
    std::int64_t number_ = 0;
};

}  // namespace holdfast::train
