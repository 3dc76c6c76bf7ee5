#include "dist/exchange_check.h"

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "dist/gradient_exchange.h"
#include "dist/sum_tree.h"

namespace holdfast::dist {

namespace {

constexpr int kSteps = 3;  // the staging is used again

// Small, large, and larger than a network packet or a block of a device's kernel.
std::vector<ArenaRange> buckets_for(std::int64_t ranks) {
    std::vector<ArenaRange> buckets;
    std::int64_t begin = 0;
    for (const std::int64_t per_rank : {64, 1000, 65536, 8, 262144}) {
        buckets.push_back({begin, begin + per_rank * ranks});
        begin = buckets.back().end;
    }
    return buckets;
}

// What a rank has computed in a step: no two orders of summation give the same bits.
at::Tensor gradient_of(int rank, int step, std::int64_t count) {
    at::Tensor gradient = at::empty({count}, at::TensorOptions().dtype(at::kFloat));
    auto* values = gradient.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < count; ++i) {
        const auto number = static_cast<std::uint32_t>(i * 2654435761LL + rank * 40503LL + step);
        values[i] = static_cast<float>(number % 100003U) * (rank % 2 == 0 ? 1e-3F : 7.7F) +
                    static_cast<float>(rank);
    }
    return gradient;
}

double loss_of(int rank) {
    return 0.1 * (rank + 1) + 1e9 * (rank % 2);
}

template <typename PartOf>
at::Tensor sum_over_ranks(int ranks, PartOf part_of) {
    std::vector<at::Tensor> parts;
    parts.reserve(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
        parts.push_back(part_of(rank));
    }
    sum_tree(parts);
    return parts.front();
}

bool holds(const at::Tensor& arena, const at::Tensor& expected, const ArenaRange& range) {
    return at::equal(arena.narrow(0, range.begin, range.size()).to(at::kCPU),
                     expected.narrow(0, range.begin, range.size()));
}

// What this rank found; empty: nothing.
std::string what_is_wrong(Communicator& group, c10::Device device) {
    const c10::InferenceMode inference;
    const std::vector<ArenaRange> buckets = buckets_for(group.size());
    const std::int64_t count = buckets.back().end;
    GradientExchange exchange(group, buckets, device);
    std::string wrong;
    at::Tensor expected;
    at::Tensor gradient;
    for (int step = 0; step < kSteps; ++step) {
        expected =
            sum_over_ranks(group.size(), [&](int rank) { return gradient_of(rank, step, count); });
        gradient = gradient_of(group.rank(), step, count).to(device);
        for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket) {
            exchange.begin_bucket(gradient, static_cast<std::int64_t>(bucket));
        }
        exchange.finish_buckets(gradient);
        for (const ArenaRange& range : exchange.owned()) {
            if (wrong.empty() && !holds(gradient, expected, range)) {
                wrong = fmt::format(
                    "the sum of gradients from element {} in step {}", range.begin, step);
            }
        }
    }
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
        // An exchange returns weights of one type.
        GradientExchange returning(group, buckets, device);
        const at::Tensor whole = expected.to(type);
        at::Tensor weights = at::full({count}, -1.0, at::TensorOptions(device).dtype(type));
        for (const ArenaRange& range : returning.owned()) {
            weights.narrow(0, range.begin, range.size())
                .copy_(whole.narrow(0, range.begin, range.size()));
        }
        returning.begin_return(weights);
        returning.wait_all_returned();
        if (wrong.empty() && !holds(weights, whole, {0, count})) {
            wrong = fmt::format("the weights that came back in {}", c10::toString(type));
        }
    }
    const auto double_scalar = at::TensorOptions().dtype(at::kDouble);
    at::Tensor loss = at::full({}, loss_of(group.rank()), double_scalar.device(device));
    exchange.sum_loss(loss, 0);
    const at::Tensor loss_expected = sum_over_ranks(
        group.size(), [&](int rank) { return at::full({}, loss_of(rank), double_scalar); });
    if (wrong.empty() && loss.item<double>() != loss_expected.item<double>()) {
        wrong = "the sum of the losses";
    }
    return wrong;
}

}  // namespace

base::Status self_check(Communicator& group, c10::Device device) {
    const std::vector<std::string> wrong = group.gather_texts(what_is_wrong(group, device));
    for (std::size_t rank = 0; rank < wrong.size(); ++rank) {
        if (!wrong[rank].empty()) {
            return base::Error{base::ErrorKind::kInvalid,
                               fmt::format("on rank {} {} has other bits than the CPU's: do not "
                                           "train on these ranks before this is explained",
                                           rank,
                                           wrong[rank]),
                               0};
        }
    }
    return {};
}

}  // namespace holdfast::dist
