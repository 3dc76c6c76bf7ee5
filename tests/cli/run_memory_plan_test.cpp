// The memory that a rank plans, against the table of docs/distributed.md.
#include <algorithm>
#include <bit>

#include <gtest/gtest.h>

#include "checkpoint/transfer_buffers.h"
#include "cli/run_memory.h"

namespace holdfast::cli {
namespace {

model::GptConfig ten_million() {
    model::GptConfig shape;
    shape.n_layer = 6;
    shape.n_head = 6;
    shape.n_embd = 384;
    shape.block_size = 256;
    shape.vocab_size = 256;
    return shape;
}

RunMemory plan_of(std::int64_t lanes, const dist::GroupShape& shape, model::Precision precision) {
    return plan_run_memory({ten_million(), precision, 1},
                           model::ArenaLayout(ten_million(), lanes),
                           {.lanes = lanes, .ranks = shape.size, .micro_batch = 1},
                           {.sequences = lanes, .slice = {.count = lanes / shape.size}},
                           shape);
}

class RunMemoryPlan
    : public testing::TestWithParam<std::tuple<std::int64_t, int, model::Precision>> {};

TEST_P(RunMemoryPlan, IsTheFormulaOfManyRanks) {
    const auto [lanes, ranks, precision] = GetParam();
    const model::ArenaLayout layout(ten_million(), lanes);
    const std::int64_t n = layout.element_count();
    const std::int64_t lanes_a_rank = lanes / ranks;
    const std::int64_t weight_bytes = precision == model::Precision::kBf16 ? 2 : 4;
    std::int64_t largest = 0;
    for (const model::ArenaBucket& bucket : layout.buckets()) {
        largest = std::max(largest, bucket.end - bucket.begin);
    }
    const RunMemory plan = plan_of(lanes, {.size = ranks, .local_size = ranks}, precision);

    const auto levels =
        static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(lanes_a_rank)));
    EXPECT_EQ(plan.gradients_bytes, 4 * n * levels) << "1 + floor(log2 g)";
    EXPECT_EQ(plan.exchange_bytes, ranks == 1 ? 0 : 2 * 4 * largest + weight_bytes * n / ranks);
    EXPECT_EQ(plan.weights_bytes, 4 * n + (weight_bytes == 2 ? 2 * n : 0));
    const std::int64_t moments = 8 * n / ranks;
    EXPECT_GE(plan.optimizer_bytes, moments + 8 * n / 1024);
    EXPECT_LT(plan.optimizer_bytes, moments + 8 * n / 1024 + 64) << "a few scalars";
    const auto buffers = static_cast<std::int64_t>(checkpoint::TransferBuffers::kBytes);
    EXPECT_EQ(plan.saving_bytes, 4 * n + 8 * n / ranks + buffers);
    EXPECT_EQ(plan.device_bytes() + plan.host_bytes(),
              plan.gradients_bytes + plan.exchange_bytes + plan.weights_bytes +
                  plan.optimizer_bytes + plan.saving_bytes + plan.activations_bytes +
                  plan.batches_bytes);
}

INSTANTIATE_TEST_SUITE_P(Ranks,
                         RunMemoryPlan,
                         testing::Combine(testing::Values(4, 8),
                                          testing::Values(1, 2, 4),
                                          testing::Values(model::Precision::kFp32,
                                                          model::Precision::kBf16)),
                         [](const auto& param) {
                             return std::to_string(std::get<0>(param.param)) + "Lanes" +
                                    std::to_string(std::get<1>(param.param)) + "Ranks" +
                                    (std::get<2>(param.param) == model::Precision::kBf16 ? "Bf16"
                                                                                         : "Fp32");
                         });

TEST(RunMemoryPlanOfNodes, HasTheStagingOfTheSecondStageToo) {
    std::int64_t largest = 0;
    const model::ArenaLayout layout(ten_million(), 8);
    for (const model::ArenaBucket& bucket : layout.buckets()) {
        largest = std::max(largest, bucket.end - bucket.begin);
    }
    const RunMemory plan = plan_of(8, {.size = 8, .local_size = 4}, model::Precision::kBf16);
    EXPECT_EQ(plan.exchange_bytes,
              2 * 4 * (largest + largest / 4) + 2 * layout.element_count() / 4);
}

}  // namespace
}  // namespace holdfast::cli
