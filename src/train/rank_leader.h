// Rank 0's side of the orders (rank_orders.h).
//
// Borrows its parts, which must outlive it. The trainer's thread; order_*() do not wait for the
// others, the rest does. A lost rank throws base::Failure.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/result.h"
#include "dist/communicator.h"
#include "dist/rank_watch.h"
#include "train/rank_orders.h"

namespace holdfast::train {

class RankLeader {
public:
    // `watch` is told the steps.
    RankLeader(dist::Communicator& group, dist::RankWatch& watch) : group_(group), watch_(watch) {}

    [[nodiscard]] int ranks() const { return group_.size(); }
    // A rank is lost; any thread.
    [[nodiscard]] bool is_alone() const { return group_.is_broken(); }

    // All take `step` now; whose batch has another hash has other data, and ends.
    void order_step(std::int64_t step, double learning_rate, std::uint64_t batch_hash);
    // All take their unit of the round that begins at `first_unit` of validation set `set`: rank r
    // the unit first_unit + r. Then gather_units().
    void order_evaluation(std::int64_t set, std::int64_t first_unit);
    // Sums of nats, in the order of units; of ranks without a unit it is 0.
    std::vector<double> gather_units(double mine);
    // All copy their state; answers the ticket under which the copies are known.
    void order_capture();
    [[nodiscard]] std::int64_t newest_ticket() const { return ticket_.load(); }  // any thread
    // On several nodes, before all else: what each rank answers to the question where the run is.
    std::vector<std::string> ask_who_sees(const std::string& question);
    // Before the rest: what the run is, in words that the caller understands.
    void order_set_up(const std::string& text);
    // All load their part of the checkpoint in `path`; then gather_statuses().
    void order_load(const std::string& path);
    // The first error of a rank, "rank 2: ..." before it, whose own is `mine`.
    base::Status gather_statuses(const base::Status& mine);
    // All begin at the cursor, from fresh weights or from what they loaded.
    void order_begin(bool loaded, std::int64_t epoch, std::int64_t sample);
    // Waits until all know. A second time, and when a rank is lost, does nothing.
    void order_end(base::ExitCode exit_code);

private:
    dist::Communicator& group_;
    dist::RankWatch& watch_;
    std::atomic<std::int64_t> ticket_{0};
    bool has_ended_ = false;
};

}  // namespace holdfast::train
