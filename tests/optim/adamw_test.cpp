#include "optim/adamw.h"

#include <cmath>
#include <fstream>
#include <limits>

#include <ATen/ops/allclose.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "optim/adamw_kernel.h"
#include "optim/optim_fixtures.h"

namespace holdfast::optim {
namespace {

constexpr std::int64_t kElements = 96 * 1024;
constexpr double kRate = 3e-3;
const std::vector<ElementRange> kWhole = {{0, kElements}};
const std::vector<ElementRange> kDecaying = {{1000, 31111}, {40000, 70000}};

struct Trained {
    UpdateArenas arenas;
    at::Tensor first_moment;
    at::Tensor second_moment;
    std::int64_t count = 0;
};

UpdateArenas fresh_arenas() {
    const at::Tensor master = arena_of(kElements, 1);
    return {master, at::zeros({kElements}), master.to(at::kBFloat16)};
}

void fill_gradient(UpdateArenas& arenas, std::uint64_t step) {
    arenas.gradient.copy_(arena_of(kElements, 100 + step));
}

// `steps` updates by the given owners one after another, as ranks would do side by side; m and v
// joined again in arena order.
Trained run_of(const std::vector<std::vector<ElementRange>>& owners, Backend backend, int steps) {
    Trained run{fresh_arenas(), at::zeros({kElements}), at::zeros({kElements})};
    std::vector<AdamW> optimizers;
    for (const std::vector<ElementRange>& owned : owners) {
        optimizers.emplace_back(AdamWConfig{}, owned, kDecaying, at::kCPU, backend);
    }
    for (int step = 0; step < steps; ++step) {
        fill_gradient(run.arenas, static_cast<std::uint64_t>(step));
        for (AdamW& optimizer : optimizers) {
            optimizer.update(run.arenas, no_clip(), kRate, GradientAfter::kScratch);
        }
    }
    for (const AdamW& optimizer : optimizers) {
        std::int64_t at = 0;
        for (const ElementRange& range : optimizer.owned()) {
            run.first_moment.narrow(0, range.begin, range.size())
                .copy_(optimizer.first_moment().narrow(0, at, range.size()));
            run.second_moment.narrow(0, range.begin, range.size())
                .copy_(optimizer.second_moment().narrow(0, at, range.size()));
            at += range.size();
        }
        run.count = optimizer.update_count().item<std::int64_t>();
    }
    return run;
}

void expect_same_bits(const Trained& left, const Trained& right) {
    EXPECT_TRUE(same_bits(left.arenas.master, right.arenas.master));
    EXPECT_TRUE(same_bits(left.arenas.compute_copy, right.arenas.compute_copy));
    EXPECT_TRUE(same_bits(left.first_moment, right.first_moment));
    EXPECT_TRUE(same_bits(left.second_moment, right.second_moment));
    EXPECT_EQ(left.count, right.count);
}

at::Tensor tensor_of(const nlohmann::json& numbers) {
    return at::tensor(numbers.get<std::vector<float>>());
}

class AdamWOn : public testing::TestWithParam<Backend> {};

// The two tensors of the reference lie in one arena, each at the start of its own block.
TEST_P(AdamWOn, FollowsTorchThroughClippedAndUnclippedSteps) {
    std::ifstream file(HOLDFAST_SOURCE_DIR "/tests/optim/reference/adamw_reference.json");
    const nlohmann::json reference = nlohmann::json::parse(file);
    const std::int64_t decaying = reference.at("decaying");
    const std::int64_t plain = reference.at("plain");
    const auto spread = [&](const nlohmann::json& numbers) {
        at::Tensor arena = at::zeros({2 * kNormBlockElements});
        const at::Tensor values = tensor_of(numbers);
        arena.narrow(0, 0, decaying).copy_(values.narrow(0, 0, decaying));
        arena.narrow(0, kNormBlockElements, plain).copy_(values.narrow(0, decaying, plain));
        return arena;
    };
    const AdamWConfig config = {1e-3,
                                reference.at("weight_decay"),
                                reference.at("beta1"),
                                reference.at("beta2"),
                                reference.at("epsilon"),
                                reference.at("grad_clip")};
    const std::vector<ElementRange> owned = {{0, 2 * kNormBlockElements}};
    const std::vector<ElementRange> decay = {{0, decaying}};
    AdamW optimizer(config, owned, decay, at::kCPU, GetParam());
    GradientClip clip(2 * kNormBlockElements, at::kCPU, GetParam());
    UpdateArenas arenas = {spread(reference.at("initial")), {}, {}};
    for (const nlohmann::json& step : reference.at("steps")) {
        arenas.gradient = spread(step.at("gradient"));
        clip.measure(arenas.gradient, owned);
        clip.finish({}, config.grad_clip);
        optimizer.update(arenas, clip.outcome(), step.at("learning_rate"), GradientAfter::kScratch);
        EXPECT_NEAR(clip.outcome().norm.item<double>(),
                    step.at("norm"),
                    1e-6 * step.at("norm").get<double>());
        EXPECT_TRUE(at::allclose(arenas.master, spread(step.at("weights")), 2e-6, 1e-8));
        EXPECT_TRUE(at::allclose(optimizer.first_moment(), spread(step.at("m")), 1e-5, 1e-9));
        EXPECT_TRUE(at::allclose(optimizer.second_moment(), spread(step.at("v")), 1e-5, 1e-12));
    }
    EXPECT_EQ(optimizer.update_count().item<std::int64_t>(), 12);
}

TEST_P(AdamWOn, ABadStepLeavesEveryBit) {
    UpdateArenas arenas = fresh_arenas();
    AdamW optimizer(AdamWConfig{}, kWhole, kDecaying, at::kCPU, GetParam());
    fill_gradient(arenas, 1);
    optimizer.update(arenas, no_clip(), kRate, GradientAfter::kScratch);
    const at::Tensor master = arenas.master.clone();
    const at::Tensor copy = arenas.compute_copy.clone();
    const at::Tensor first = optimizer.first_moment().clone();
    const at::Tensor second = optimizer.second_moment().clone();

    fill_gradient(arenas, 2);
    arenas.gradient[7].fill_(std::numeric_limits<float>::quiet_NaN());
    optimizer.update(arenas, bad_step(), kRate, GradientAfter::kScratch);

    EXPECT_TRUE(same_bits(arenas.master, master));
    EXPECT_TRUE(same_bits(arenas.compute_copy, copy));
    EXPECT_TRUE(same_bits(optimizer.first_moment(), first));
    EXPECT_TRUE(same_bits(optimizer.second_moment(), second));
    EXPECT_EQ(optimizer.update_count().item<std::int64_t>(), 1);
}

TEST_P(AdamWOn, ABadStepLeavesNoTraceInTheStepsAfterIt) {
    UpdateArenas straight = fresh_arenas();
    UpdateArenas stumbling = fresh_arenas();
    AdamW straight_optimizer(AdamWConfig{}, kWhole, kDecaying, at::kCPU, GetParam());
    AdamW stumbling_optimizer(AdamWConfig{}, kWhole, kDecaying, at::kCPU, GetParam());
    for (const std::uint64_t step : {0U, 1U, 2U}) {
        fill_gradient(straight, step);
        fill_gradient(stumbling, step);
        straight_optimizer.update(straight, no_clip(), kRate, GradientAfter::kZero);
        stumbling_optimizer.update(stumbling, no_clip(), kRate, GradientAfter::kZero);
        stumbling.gradient.fill_(std::numeric_limits<float>::infinity());
        stumbling_optimizer.update(stumbling, bad_step(), kRate, GradientAfter::kZero);
    }
    EXPECT_TRUE(same_bits(straight.master, stumbling.master));
    EXPECT_TRUE(same_bits(straight_optimizer.second_moment(), stumbling_optimizer.second_moment()));
}

TEST_P(AdamWOn, ZeroesTheGradientOfOwnedRangesAfterGoodAndBadSteps) {
    const std::vector<ElementRange> owned = {{3, 50}, {60000, 70001}};
    AdamW optimizer(AdamWConfig{}, owned, kDecaying, at::kCPU, GetParam());
    for (const ClipOutcome& clip : {no_clip(), bad_step()}) {
        UpdateArenas arenas = fresh_arenas();
        fill_gradient(arenas, 1);
        at::Tensor expected = arenas.gradient.clone();
        for (const ElementRange& range : owned) {
            expected.narrow(0, range.begin, range.size()).zero_();
        }
        optimizer.update(arenas, clip, kRate, GradientAfter::kZero);
        EXPECT_TRUE(same_bits(arenas.gradient, expected));
    }
}

TEST_P(AdamWOn, TouchesOnlyWhatItOwns) {
    const std::vector<ElementRange> owned = {{1024, 2048}};
    AdamW optimizer(AdamWConfig{}, owned, kDecaying, at::kCPU, GetParam());
    UpdateArenas arenas = fresh_arenas();
    fill_gradient(arenas, 1);
    at::Tensor restored = arenas.master.clone();
    optimizer.update(arenas, no_clip(), kRate, GradientAfter::kZero);
    EXPECT_FALSE(same_bits(arenas.master, restored));
    restored.narrow(0, 1024, 1024).copy_(arenas.master.narrow(0, 1024, 1024));
    EXPECT_TRUE(same_bits(arenas.master, restored));
    EXPECT_EQ(optimizer.first_moment().numel(), 1024);
}

TEST_P(AdamWOn, TheComputeCopyIsTheMasterRoundedAsTorchRounds) {
    const Trained run = run_of({kWhole}, GetParam(), 2);
    EXPECT_TRUE(same_bits(run.arenas.compute_copy, run.arenas.master.to(at::kBFloat16)));
}

TEST_P(AdamWOn, GoesOnFromARestoredState) {
    const Trained straight = run_of({kWhole}, GetParam(), 4);
    Trained first = run_of({kWhole}, GetParam(), 2);
    AdamW restored(AdamWConfig{}, kWhole, kDecaying, at::kCPU, GetParam());
    at::Tensor first_moment = restored.first_moment();
    at::Tensor second_moment = restored.second_moment();
    at::Tensor count = restored.update_count();
    first_moment.copy_(first.first_moment);
    second_moment.copy_(first.second_moment);
    count.fill_(first.count);
    for (const std::uint64_t step : {2U, 3U}) {
        fill_gradient(first.arenas, step);
        restored.update(first.arenas, no_clip(), kRate, GradientAfter::kScratch);
    }
    EXPECT_TRUE(same_bits(first.arenas.master, straight.arenas.master));
    EXPECT_TRUE(same_bits(restored.second_moment(), straight.second_moment));
}

TEST_P(AdamWOn, PaddingStaysZero) {
    UpdateArenas arenas = {at::zeros({1024}), at::zeros({1024}), {}};
    const std::vector<ElementRange> owned = {{0, 1024}};
    AdamW optimizer(AdamWConfig{}, owned, owned, at::kCPU, GetParam());
    optimizer.update(arenas, no_clip(), kRate, GradientAfter::kZero);
    EXPECT_TRUE(same_bits(arenas.master, at::zeros({1024})));
    EXPECT_TRUE(same_bits(optimizer.second_moment(), at::zeros({1024})));
}

INSTANTIATE_TEST_SUITE_P(Backends,
                         AdamWOn,
                         testing::Values(Backend::kNative, Backend::kAten),
                         backend_name);

TEST(AdamWNative, RangesCutAnyhowGiveTheSameBits) {
    const Trained whole = run_of({kWhole}, Backend::kNative, 3);
    expect_same_bits(
        whole, run_of({{{0, 1}, {1, 17}, {17, 40001}, {40001, kElements}}}, Backend::kNative, 3));
    expect_same_bits(
        whole,
        run_of({{{0, 333}, {50003, 50004}, {90000, kElements}}, {{333, 50003}}, {{50004, 90000}}},
               Backend::kNative,
               3));
}

TEST(AdamWNative, ThreadsDoNotChangeTheBits) {
    const WithThreads one(1);
    const Trained alone = run_of({kWhole}, Backend::kNative, 3);
    for (const int threads : {2, 3, 4}) {
        const WithThreads several(threads);
        expect_same_bits(alone, run_of({kWhole}, Backend::kNative, 3));
    }
}

TEST(AdamWTwins, AgreeWithinRounding) {
    const Trained native = run_of({kWhole}, Backend::kNative, 10);
    const Trained aten = run_of({kWhole}, Backend::kAten, 10);
    EXPECT_TRUE(at::allclose(native.arenas.master, aten.arenas.master, 1e-6, 1e-7));
    EXPECT_TRUE(at::allclose(native.first_moment, aten.first_moment, 1e-5, 1e-7));
    EXPECT_TRUE(at::allclose(native.second_moment, aten.second_moment, 1e-5, 1e-9));
    EXPECT_EQ(native.count, aten.count);
}

TEST(AdamWKernel, RoundsToBf16AsTorchDoes) {
    for (const std::uint32_t bits : {0x00000000U,
                                     0x80000000U,
                                     0x3F800000U,
                                     0x3F808000U,
                                     0x3F818000U,
                                     0x3F808001U,
                                     0x3F807FFFU,
                                     0x7F7FFFFFU,
                                     0x7F800000U,
                                     0xFF800000U,
                                     0x7F800001U,
                                     0xFFFFFFFFU,
                                     0x00000001U,
                                     0x00008000U,
                                     0x807FFFFFU}) {
        const auto value = std::bit_cast<float>(bits);
        EXPECT_EQ(bf16_bits(value), c10::BFloat16(value).x) << std::hex << bits;
    }
}

TEST(AdamWConfig, RefusesWhatCannotBeWithTheKeyAndTheValue) {
    const auto refusal = [](const AdamWConfig& config) {
        const base::Status status = config.validate();
        return status.ok() ? std::string() : status.error().what;
    };
    EXPECT_EQ(refusal(AdamWConfig{}), "");
    EXPECT_THAT(refusal({.learning_rate = 0}), testing::HasSubstr("optimizer.learning_rate is 0"));
    EXPECT_THAT(refusal({.weight_decay = -0.1}),
                testing::HasSubstr("optimizer.weight_decay is -0.1"));
    EXPECT_THAT(refusal({.beta1 = 1.0}), testing::HasSubstr("optimizer.beta1 is 1"));
    EXPECT_THAT(refusal({.beta2 = std::nan("")}), testing::HasSubstr("optimizer.beta2 is nan"));
    EXPECT_THAT(refusal({.epsilon = 0}), testing::HasSubstr("optimizer.epsilon is 0"));
    EXPECT_THAT(refusal({.grad_clip = -1}), testing::HasSubstr("optimizer.grad_clip is -1"));
}

}  // namespace
}  // namespace holdfast::optim
