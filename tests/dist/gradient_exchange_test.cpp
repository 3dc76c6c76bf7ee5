#include "dist/gradient_exchange.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/rank_threads.h"
#include "dist/sum_tree.h"

namespace holdfast::dist {
namespace {

const std::vector<ArenaRange> kBuckets = {{0, 64}, {64, 1088}, {1088, 1152}, {1152, 3200}};
constexpr std::int64_t kElements = 3200;

// What rank `rank` has computed: no two sums in another order are alike.
at::Tensor gradient_of(int rank) {
    at::Tensor gradient = at::empty({kElements}, at::TensorOptions().dtype(at::kFloat));
    auto* values = gradient.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < kElements; ++i) {
        const auto number = static_cast<std::uint32_t>(i * 2654435761LL + rank * 40503LL);
        values[i] = static_cast<float>(number % 100003U) * (rank % 2 == 0 ? 1e-3F : 7.7F) +
                    static_cast<float>(rank);
    }
    return gradient;
}

at::Tensor expected_sum(int ranks) {
    std::vector<at::Tensor> parts;
    for (int rank = 0; rank < ranks; ++rank) {
        parts.push_back(gradient_of(rank));
    }
    sum_tree(parts);
    return parts.front();
}

void exchange_all(GradientExchange& exchange, const at::Tensor& gradient) {
    for (std::int64_t bucket = 0; bucket < static_cast<std::int64_t>(kBuckets.size()); ++bucket) {
        exchange.begin_bucket(gradient, bucket);
    }
    exchange.finish_buckets(gradient);
}

struct Shape {
    int size = 1;
    int local_size = 1;
};

class Exchange : public testing::TestWithParam<Shape> {};

TEST_P(Exchange, P4_OwnersHoldTheTreeSumBitForBit) {
    const Shape shape = GetParam();
    const at::Tensor expected = expected_sum(shape.size);
    run_ranks(shape.size, shape.local_size, [&](Communicator& group) {
        GradientExchange exchange(group, kBuckets, at::kCPU);
        for (int step = 0; step < 3; ++step) {  // staging is used again
            const at::Tensor gradient = gradient_of(group.rank());
            exchange_all(exchange, gradient);
            for (const ArenaRange& range : exchange.owned()) {
                EXPECT_TRUE(at::equal(gradient.narrow(0, range.begin, range.size()),
                                      expected.narrow(0, range.begin, range.size())))
                    << "rank " << group.rank() << " at " << range.begin;
            }
        }
    });
}

TEST_P(Exchange, EveryElementHasOneOwner) {
    const Shape shape = GetParam();
    at::Tensor owners = at::full({kElements}, 0, at::TensorOptions().dtype(at::kInt));
    std::mutex mutex;
    run_ranks(shape.size, shape.local_size, [&](Communicator& group) {
        const GradientExchange exchange(group, kBuckets, at::kCPU);
        const std::lock_guard lock(mutex);
        for (const ArenaRange& range : exchange.owned()) {
            owners.narrow(0, range.begin, range.size()).add_(1);
        }
    });
    EXPECT_TRUE(at::equal(owners, at::full({kElements}, 1, owners.options())));
}

TEST_P(Exchange, WeightsComeBackToAll) {
    const Shape shape = GetParam();
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
        run_ranks(shape.size, shape.local_size, [&](Communicator& group) {
            GradientExchange exchange(group, kBuckets, at::kCPU);
            at::Tensor weights = at::full({kElements}, -1.0, at::TensorOptions().dtype(type));
            const at::Tensor whole = gradient_of(7).to(type);
            for (const ArenaRange& range : exchange.owned()) {
                weights.narrow(0, range.begin, range.size())
                    .copy_(whole.narrow(0, range.begin, range.size()));
            }
            exchange.begin_return(weights);
            exchange.wait_returned(3);
            EXPECT_TRUE(at::equal(weights.narrow(0, 1152, 2048), whole.narrow(0, 1152, 2048)));
            exchange.wait_all_returned();
            EXPECT_TRUE(at::equal(weights, whole)) << "rank " << group.rank();
        });
    }
}

TEST_P(Exchange, BytesSentAreThoseOfTheFormula) {
    const Shape shape = GetParam();
    const bool two_stages = shape.local_size > 1 && shape.local_size < shape.size;
    const std::int64_t local = two_stages ? shape.local_size : shape.size;
    const std::int64_t nodes = shape.size / local;
    const std::int64_t moved =
        kElements * (local - 1) / local + kElements / local * (nodes - 1) / nodes;
    run_ranks(shape.size, shape.local_size, [&](Communicator& group) {
        GradientExchange exchange(group, kBuckets, at::kCPU);
        const at::Tensor gradient = gradient_of(group.rank());
        exchange_all(exchange, gradient);
        EXPECT_EQ(exchange.sent_bytes(), 4 * moved);
        exchange.begin_return(gradient.to(at::kBFloat16));
        exchange.wait_all_returned();
        EXPECT_EQ(exchange.sent_bytes(), 4 * moved + 2 * moved);
    });
}

TEST_P(Exchange, P4_TheLossIsTheTreeSumOnEveryRank) {
    const Shape shape = GetParam();
    const auto loss_of = [](int rank) { return 0.1 * (rank + 1) + 1e9 * (rank % 2); };
    std::vector<at::Tensor> parts;
    for (int rank = 0; rank < shape.size; ++rank) {
        parts.push_back(at::full({}, loss_of(rank), at::TensorOptions().dtype(at::kDouble)));
    }
    sum_tree(parts);
    run_ranks(shape.size, shape.local_size, [&](Communicator& group) {
        GradientExchange exchange(group, kBuckets, at::kCPU);
        at::Tensor loss =
            at::full({}, loss_of(group.rank()), at::TensorOptions().dtype(at::kDouble));
        exchange.sum_loss(loss, 1.5 * group.rank());
        EXPECT_EQ(loss.item<double>(), parts.front().item<double>());
        for (int rank = 0; rank < shape.size; ++rank) {
            EXPECT_EQ(exchange.compute_seconds_of_ranks()[rank].item<double>(), 1.5 * rank);
            EXPECT_EQ(exchange.wait_seconds_of_ranks()[rank].item<double>(), 0) << "the first one";
        }
        // The last rank comes late: the others have waited for it, and it for none.
        const double late_seconds = group.rank() == shape.size - 1 ? 0.2 : 0.0;
        std::this_thread::sleep_for(std::chrono::duration<double>(late_seconds));
        exchange.sum_loss(loss, 0);
        exchange.sum_loss(loss, 0);
        for (int rank = 0; rank + 1 < shape.size; ++rank) {
            EXPECT_GE(exchange.wait_seconds_of_ranks()[rank].item<double>(), 0.1);
        }
    });
}

INSTANTIATE_TEST_SUITE_P(
    Ranks,
    Exchange,
    testing::Values(Shape{2, 2}, Shape{4, 4}, Shape{4, 2}, Shape{8, 2}, Shape{2, 1}),
    [](const auto& param) {
        return std::to_string(param.param.size) + "Ranks" + std::to_string(param.param.local_size) +
               "ANode";
    });

// So many ranks have come to a place; others wait for them there.
class Arrivals {
public:
    explicit Arrivals(int wanted) : wanted_(wanted) {}
    void come() {
        const std::lock_guard lock(mutex_);
        ++count_;
        changed_.notify_all();
    }
    [[nodiscard]] bool wait_for_all() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(
            lock, std::chrono::seconds(20), [this] { return count_ == wanted_; });
    }

private:
    int wanted_;
    int count_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
};

TEST(GradientExchange, WhatGoesBetweenNodesHasTheTimeOfABucket) {
    Arrivals first_node(2);
    const at::Tensor expected = expected_sum(4);
    run_ranks(4, 2, [&](Communicator& group) {
        GradientExchange exchange(group, kBuckets, at::kCPU);
        const at::Tensor gradient = gradient_of(group.rank());
        if (group.rank() >= 2) {
            EXPECT_TRUE(first_node.wait_for_all())
                << "bucket 0 was waited for where it left for the other node";
        }
        for (std::int64_t bucket = 0; bucket < 4; ++bucket) {
            exchange.begin_bucket(gradient, bucket);
            if (group.rank() < 2 && bucket == 2) {
                first_node.come();
            }
        }
        exchange.finish_buckets(gradient);
        for (const ArenaRange& range : exchange.owned()) {
            EXPECT_TRUE(at::equal(gradient.narrow(0, range.begin, range.size()),
                                  expected.narrow(0, range.begin, range.size())));
        }
    });
}

TEST(GradientExchange, WeightsFromOtherNodesGoOnInsideTheNodeOneBucketAhead) {
    Arrivals ahead(2);
    run_ranks(4, 2, [&](Communicator& group) {
        GradientExchange exchange(group, kBuckets, at::kCPU);
        exchange.begin_return(gradient_of(7));
        exchange.wait_returned(3);
        if (group.rank() % 2 == 0) {
            exchange.wait_returned(2);
            ahead.come();
        } else {
            EXPECT_TRUE(ahead.wait_for_all()) << "bucket 2 was waited for where it is needed";
        }
        exchange.wait_all_returned();
    });
}

TEST(GradientExchange, HoldsTwoOfTheLargestBucketAndItsPiecesOfTheWeights) {
    EXPECT_EQ(GradientExchange::bytes_needed(kBuckets, {2}, 4), 2 * 2048 * 4 + 3200 / 2 * 4);
    EXPECT_EQ(GradientExchange::bytes_needed(kBuckets, {2, 2}, 2),
              2 * (2048 + 1024) * 4 + 3200 / 2 * 2);
}

}  // namespace
}  // namespace holdfast::dist
