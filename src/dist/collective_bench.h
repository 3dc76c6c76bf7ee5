// What the exchange of a training step takes between ranks, beside what the group's own collectives
// take for the same bytes: the measuring behind `holdfast bench collective`.
//
// The exchange is the trainer's (GradientExchange): every bucket's gradients in the order of the
// arena, loss, norm, and the weights back; nothing is computed meanwhile, so nothing hides it.
// Every call is one measurement: all ranks make it together, it blocks until all are through, and
// answers the seconds of the slowest, the same on all ranks. What arrived is checked outside the
// time (HF_CHECK). The caller repeats the calls, in turns, and makes the statistics.
//
// Owns gradients (4 bytes an element), a scratch arena of the same size and weights, filled before
// each measurement. Borrows the groups. One thread. A lost rank throws base::Failure
// (communicator.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "dist/communicator.h"
#include "dist/gradient_exchange.h"

namespace holdfast::dist {

class CollectiveBench {
public:
    // `group` has one stage. `staged` (null: none): the same ranks in two, for staged_exchange().
    // `weight_type`: what the weights come back in. Buckets and device as GradientExchange.
    CollectiveBench(Communicator& group,
                    Communicator* staged,
                    const std::vector<ArenaRange>& buckets,
                    at::ScalarType weight_type,
                    at::Device device);

    // The exchange of a step, all ranks in one stage.
    double exchange();
    // The same inside nodes, then between them.
    double staged_exchange();
    // One all-to-all of the gradients and one all-gather of the weights: as many bytes.
    double raw();
    // One all-reduce of the gradients, after which every rank would update all weights: what is
    // usual without ZeRO. Sends 8 N (n - 1) / n bytes if it is a ring.
    double all_reduce();

    // Of the last exchange() or staged_exchange(), by this rank: gradients and weights, as the
    // exchange counted them.
    [[nodiscard]] std::int64_t sent_bytes() const { return sent_bytes_; }
    // Of the same, all that the process's TCP connections sent, by the kernel's count: loss, norm
    // and what keeps the ranks in step too. Nothing where it does not count, and on a GPU.
    [[nodiscard]] std::optional<std::int64_t> sent_socket_bytes() const {
        return sent_socket_bytes_;
    }

    // (4 + weight_bytes) N (n - 1) / n for N elements and n ranks, in one stage or two.
    static std::int64_t sent_bytes_by_formula(std::int64_t elements,
                                              std::int64_t ranks,
                                              std::int64_t weight_bytes);
    // What a rank holds for it, staging included, at most.
    static std::int64_t bytes_needed(std::int64_t elements,
                                     std::int64_t largest_bucket_elements,
                                     std::int64_t weight_bytes);

private:
    double timed(const std::function<void()>& work);
    double timed_exchange(GradientExchange& exchange);
    void fill(const std::vector<ArenaRange>& owned);
    void check_arrived(const std::vector<ArenaRange>& owned) const;
    void finish_device() const;

    Communicator& group_;
    std::int64_t bucket_count_;
    at::Device device_;
    GradientExchange exchange_;
    std::optional<GradientExchange> staged_exchange_;
    at::Tensor gradient_;    // fp32 [elements]
    at::Tensor scratch_;     // fp32 [elements]
    at::Tensor weights_;     // [elements]
    at::Tensor piece_;       // of the weights, this rank's: [elements / ranks]
    at::Tensor block_sums_;  // fp64, as the norm has them
    at::Tensor loss_;        // fp64 []
    std::int64_t sent_bytes_ = 0;
    std::optional<std::int64_t> sent_socket_bytes_;
};

}  // namespace holdfast::dist
