#include "optim/clip.h"

#include <atomic>
#include <cmath>
#include <limits>

#include <ATen/ops/norm.h>
#include <ATen/ops/zeros.h>

#include "optim/optim_fixtures.h"
#include "optim/optimizer_bytes.h"

namespace holdfast::optim {
namespace {

constexpr std::int64_t kElements = 200 * kNormBlockElements;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const std::vector<ElementRange> kWhole = {{0, kElements}};

struct Outcome {
    double norm;
    float factor;
    bool bad;
};

Outcome read(const GradientClip& clip) {
    return {clip.outcome().norm.item<double>(),
            clip.outcome().factor.item<float>(),
            clip.outcome().bad.item<float>() != 0.0F};
}

class Clip : public testing::TestWithParam<Backend> {
protected:
    Outcome outcome_of(const at::Tensor& gradient, const at::Tensor& loss, double max_norm) {
        clip_.measure(gradient, kWhole);
        clip_.finish(loss, max_norm);
        return read(clip_);
    }
    GradientClip clip_{kElements, at::kCPU, GetParam()};
};

TEST_P(Clip, TakesTheNormOfTheWholeGradientInFp64) {
    const at::Tensor gradient = arena_of(kElements, 1);
    const double expected = gradient.to(at::kDouble).norm().item<double>();
    EXPECT_NEAR(outcome_of(gradient, {}, 1.0).norm, expected, expected * 1e-13);
}

TEST_P(Clip, ScalesALargeGradientToTheMaximumAsTorchDoes) {
    const Outcome outcome = outcome_of(arena_of(kElements, 1), {}, 0.5);
    EXPECT_FLOAT_EQ(outcome.factor, static_cast<float>(0.5 / (outcome.norm + 1e-6)));
    EXPECT_FALSE(outcome.bad);
}

TEST_P(Clip, LeavesASmallGradientAsItIs) {
    EXPECT_EQ(outcome_of(arena_of(kElements, 1, 1e-5F), {}, 1.0).factor, 1.0F);
    EXPECT_EQ(outcome_of(at::zeros({kElements}), {}, 1.0).factor, 1.0F);
}

TEST_P(Clip, IsOffAtZero) {
    EXPECT_EQ(outcome_of(arena_of(kElements, 1), {}, 0.0).factor, 1.0F);
}

TEST_P(Clip, FlagsOneElementThatIsNotFinite) {
    for (const float value : {kInfinity, -kInfinity, std::nanf("")}) {
        at::Tensor gradient = arena_of(kElements, 1);
        gradient[kElements - 1].fill_(value);
        const Outcome outcome = outcome_of(gradient, {}, 1.0);
        EXPECT_TRUE(outcome.bad) << value;
        EXPECT_EQ(outcome.factor, 1.0F) << value;
        EXPECT_FALSE(std::isfinite(outcome.norm)) << value;
    }
}

TEST_P(Clip, FlagsALossThatIsNotFinite) {
    const at::Tensor gradient = arena_of(kElements, 1);
    EXPECT_FALSE(outcome_of(gradient, at::scalar_tensor(3.5, at::kFloat), 1.0).bad);
    EXPECT_TRUE(outcome_of(gradient, at::scalar_tensor(kInfinity, at::kFloat), 1.0).bad);
    EXPECT_TRUE(outcome_of(gradient, at::scalar_tensor(std::nan(""), at::kDouble), 1.0).bad);
    EXPECT_FALSE(outcome_of(gradient, at::scalar_tensor(3.5, at::kFloat), 1.0).bad);
}

TEST_P(Clip, StaysFiniteWhereAnFp32SumOfSquaresWouldNot) {
    const Outcome outcome = outcome_of(arena_of(kElements, 1, 3e38F), {}, 1.0);
    EXPECT_TRUE(std::isfinite(outcome.norm));
    EXPECT_FALSE(outcome.bad);
}

TEST_P(Clip, SumsOfRanksThatOwnPartsMakeTheSameBits) {
    const at::Tensor gradient = arena_of(kElements, 2);
    const Outcome whole = outcome_of(gradient, {}, 1.0);
    for (const std::int64_t ranks : {2, 5, 8}) {
        const std::int64_t share = kElements / ranks;
        at::Tensor gathered = at::zeros({kElements / kNormBlockElements}, at::kDouble);
        for (std::int64_t rank = ranks; rank-- > 0;) {
            GradientClip part(kElements, at::kCPU, GetParam());
            const std::vector<ElementRange> owned = {{rank * share, (rank + 1) * share}};
            part.measure(gradient, owned);
            gathered.add_(part.block_sums());
        }
        GradientClip joined(kElements, at::kCPU, GetParam());
        at::Tensor sums = joined.block_sums();
        sums.copy_(gathered);
        joined.finish({}, 1.0);
        EXPECT_EQ(read(joined).norm, whole.norm) << ranks;
        EXPECT_EQ(read(joined).factor, whole.factor) << ranks;
    }
}

TEST_P(Clip, ThreadsDoNotChangeTheBits) {
    const at::Tensor gradient = arena_of(kElements, 3);
    const WithThreads one(1);
    const double norm = outcome_of(gradient, {}, 1.0).norm;
    for (const int threads : {2, 3, 4}) {
        const WithThreads several(threads);
        EXPECT_EQ(outcome_of(gradient, {}, 1.0).norm, norm) << threads;
    }
}

TEST_P(Clip, ForgetsBlocksThatAreNoLongerMeasured) {
    clip_.measure(arena_of(kElements, 1), kWhole);
    const std::vector<ElementRange> first = {{0, kNormBlockElements}};
    clip_.measure(at::zeros({kElements}), first);
    clip_.finish({}, 1.0);
    EXPECT_EQ(read(clip_).norm, 0.0);
}

INSTANTIATE_TEST_SUITE_P(Backends,
                         Clip,
                         testing::Values(Backend::kNative, Backend::kAten),
                         backend_name);

TEST(ClipTwins, AgreeToTheLastBitsOfFp64) {
    const at::Tensor gradient = arena_of(kElements, 4);
    double norms[2] = {};
    for (const Backend backend : {Backend::kNative, Backend::kAten}) {
        GradientClip clip(kElements, at::kCPU, backend);
        clip.measure(gradient, kWhole);
        clip.finish({}, 1.0);
        norms[static_cast<int>(backend)] = read(clip).norm;
    }
    EXPECT_NEAR(norms[0], norms[1], norms[0] * 1e-14);
}

TEST(ClipThreads, RealizesTheThreadsThatTorchWasGiven) {
    const WithThreads two(2);
    std::atomic<int> highest = 0;
    at::parallel_for(0, 2, 1, [&](std::int64_t, std::int64_t) {
        int seen = highest.load();
        while (seen < at::get_thread_num() &&
               !highest.compare_exchange_weak(seen, at::get_thread_num())) {
        }
    });
    EXPECT_EQ(highest.load(), 1);
}

TEST(OptimizerBytes, AreTheBytesOfTheTensorsHeld) {
    const GradientClip clip(kElements, at::kCPU, Backend::kNative);
    const ClipOutcome& outcome = clip.outcome();
    const auto held = static_cast<std::int64_t>(clip.block_sums().nbytes() + outcome.norm.nbytes() +
                                                outcome.factor.nbytes() + outcome.bad.nbytes());
    EXPECT_EQ(bytes_needed(kElements, 0), held + 8);
    EXPECT_EQ(bytes_needed(kElements, kElements), held + 8 + 8 * kElements);
}

}  // namespace
}  // namespace holdfast::optim
