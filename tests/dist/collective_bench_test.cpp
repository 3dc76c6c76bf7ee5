#include "dist/collective_bench.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "dist/rank_threads.h"

namespace holdfast::dist {
namespace {

const std::vector<ArenaRange> kBuckets = {{0, 4096}, {4096, 20480}, {20480, 24576}};
constexpr std::int64_t kElements = 24576;

// The slowest rank's time is every rank's.
void expect_alike(Communicator& group, double seconds) {
    EXPECT_GT(seconds, 0);
    const auto nanoseconds = static_cast<std::int64_t>(seconds * 1e9);
    for (const auto& other : group.gather_words({&nanoseconds, 1})) {
        EXPECT_EQ(other.front(), nanoseconds);
    }
}

TEST(CollectiveBench, MeasuresOneStageAndSendsTheBytesOfTheFormula) {
    for (const int ranks : {2, 4}) {
        run_ranks(ranks, ranks, [&](Communicator& group) {
            CollectiveBench bench(group, nullptr, kBuckets, at::kBFloat16, at::kCPU);
            for (int round = 0; round < 2; ++round) {
                expect_alike(group, bench.exchange());
                EXPECT_EQ(bench.sent_bytes(), 6 * kElements * (ranks - 1) / ranks);
                EXPECT_EQ(bench.sent_bytes(),
                          CollectiveBench::sent_bytes_by_formula(kElements, ranks, 2));
                expect_alike(group, bench.raw());
                expect_alike(group, bench.all_reduce());
            }
        });
    }
}

TEST(CollectiveBench, TwoStagesSendAsManyBytesAsOne) {
    run_ranks(4, 2, [&](Communicator& staged) {
        ASSERT_EQ(staged.stages().size(), 2U);
        GradientExchange exchange(staged, kBuckets, at::kCPU);
        const at::Tensor arena = at::ones({kElements});
        for (std::int64_t bucket = 0; bucket < 3; ++bucket) {
            exchange.begin_bucket(arena, bucket);
        }
        exchange.finish_buckets(arena);
        exchange.begin_return(arena);
        exchange.wait_all_returned();
        EXPECT_EQ(exchange.sent_bytes(), CollectiveBench::sent_bytes_by_formula(kElements, 4, 4));
    });
}

}  // namespace
}  // namespace holdfast::dist
