#include "model/gpt.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "kernels/caching_cpu_allocator.h"
#include "model/autograd_twin.h"
#include "model/model_fixtures.h"

namespace holdfast::model {
namespace {

TEST(AutogradTwin, AgreesWithFiniteDifferencesInDoublePrecision) {
    GptConfig config = small_config();
    SmallModel model(config);
    TwinParameters parameters = twin_parameters(model.gpt.master(), model.layout, at::kDouble);
    const at::Tensor tokens = some_tokens(2, 10, config.vocab_size, 1);
    const at::Tensor targets = some_tokens(2, 10, config.vocab_size, 2);
    twin_loss(config, parameters, tokens, targets).backward();
    for (auto& [name, parameter] : parameters) {
        const at::Tensor gradient = parameter.grad().reshape({-1});
        const c10::NoGradGuard no_gradient;
        at::Tensor flat = parameter.view({-1});
        for (const std::int64_t at_index : {std::int64_t{0}, flat.numel() / 3, flat.numel() - 1}) {
            const double step = 1e-5;
            const double value = flat[at_index].item<double>();
            flat[at_index].fill_(value + step);
            const double above = twin_loss(config, parameters, tokens, targets).item<double>();
            flat[at_index].fill_(value - step);
            const double below = twin_loss(config, parameters, tokens, targets).item<double>();
            flat[at_index].fill_(value);
            EXPECT_NEAR((above - below) / (2 * step), gradient[at_index].item<double>(), 1e-5)
                << name << "[" << at_index << "]";
        }
    }
}

struct GradientCase {
    const char* name;
    bool bias = true;
    double dropout = 0.0;
    std::int64_t heads = 3;
    std::int64_t time = 24;
    std::int64_t sequences = 3;
};

class GptGradient : public testing::TestWithParam<GradientCase> {
protected:
    static GptConfig config() {
        GptConfig config = small_config();
        config.bias = GetParam().bias;
        config.dropout = GetParam().dropout;
        config.n_head = GetParam().heads;
        return config;
    }
    // The masks our kernels use, seen through a branch of ones on a residual of zeros.
    static TwinMasks masks(SmallModel& model, at::ScalarType dtype) {
        TwinMasks result;
        const GptConfig& config = model.gpt.config();
        if (config.dropout == 0.0) {
            return result;
        }
        const std::int64_t rows = GetParam().sequences * GetParam().time;
        const auto mask = [&](std::int64_t layer, DropoutPlace place) {
            at::Tensor out = at::zeros({rows, config.n_embd}, at::kFloat);
            model.kernels->dropout_add(at::zeros_like(out),
                                       at::ones_like(out),
                                       {.seed = model.key.seed,
                                        .step = model.key.step,
                                        .first_sequence_index = model.key.first_sequence_index,
                                        .sequence_tokens = GetParam().time,
                                        .layer = static_cast<std::int32_t>(layer),
                                        .site = static_cast<std::int32_t>(place),
                                        .probability = config.dropout},
                                       out);
            return out.view({GetParam().sequences, GetParam().time, config.n_embd}).to(dtype);
        };
        result.embedding = mask(0, DropoutPlace::kEmbedding);
        for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
            result.attention.push_back(mask(layer, DropoutPlace::kAttention));
            result.mlp.push_back(mask(layer, DropoutPlace::kMlp));
        }
        return result;
    }
    // Largest relative distance over all tensors, twin in fp64.
    static void compare(Precision precision, double loss_bound, double gradient_bound) {
        SmallModel model(config(), precision);
        const at::Tensor tokens =
            some_tokens(GetParam().sequences, GetParam().time, config().vocab_size, 1);
        at::Tensor targets =
            some_tokens(GetParam().sequences, GetParam().time, config().vocab_size, 2);
        targets[0][3] = -1;
        model.run(tokens, targets);
        TwinParameters parameters = twin_parameters(model.gpt.master(), model.layout, at::kDouble);
        const at::Tensor loss =
            twin_loss(config(), parameters, tokens, targets, masks(model, at::kDouble));
        loss.backward();
        EXPECT_NEAR(model.loss.item<double>() / loss.item<double>(), 1.0, loss_bound);
        for (const ArenaTensor& tensor : model.layout.tensors()) {
            const at::Tensor ours =
                model.gradient.narrow(0, tensor.begin, tensor.element_count()).view(tensor.shape);
            EXPECT_LT(relative_distance(ours, parameters.at(tensor.name).grad()), gradient_bound)
                << tensor.name;
        }
    }
};

TEST_P(GptGradient, EqualsTheAutogradTwinInFp32) {
    compare(Precision::kFp32, 1e-6, 2e-5);
}

TEST_P(GptGradient, StaysNearTheAutogradTwinInBf16) {
    compare(Precision::kBf16, 5e-3, 6e-2);
}

INSTANTIATE_TEST_SUITE_P(Model,
                         GptGradient,
                         testing::Values(GradientCase{.name = "Plain"},
                                         GradientCase{.name = "WithoutBias", .bias = false},
                                         GradientCase{.name = "Dropout", .dropout = 0.25},
                                         GradientCase{.name = "OneHead", .heads = 1},
                                         GradientCase{
                                             .name = "ShortAndSingle", .time = 5, .sequences = 1}),
                         [](const auto& gradient_case) { return gradient_case.param.name; });

TEST(Gpt, RecomputeLevelsGiveTheSameBits) {
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
        at::Tensor expected;
        for (const Recompute recompute :
             {Recompute::kNone, Recompute::kGelu, Recompute::kNorm, Recompute::kBlock}) {
            GptConfig config = small_config();
            config.dropout = 0.1;
            config.recompute = recompute;
            SmallModel model(config, precision);
            model.run(some_tokens(4, 24, 101, 1), some_tokens(4, 24, 101, 2));
            if (!expected.defined()) {
                expected = model.gradient.clone();
            }
            EXPECT_TRUE(same_bits(model.gradient, expected)) << static_cast<int>(recompute);
        }
    }
}

TEST(Gpt, SameCallGivesTheSameBits) {
    SmallModel model(small_config(), Precision::kBf16);
    model.run(some_tokens(4, 24, 101, 1), some_tokens(4, 24, 101, 2));
    const at::Tensor first = model.gradient.clone();
    model.run(some_tokens(4, 24, 101, 3), some_tokens(4, 24, 101, 4));
    model.run(some_tokens(4, 24, 101, 1), some_tokens(4, 24, 101, 2));
    EXPECT_TRUE(same_bits(model.gradient, first));
}

TEST(Gpt, MicroBatchesAddUpToTheWholeBatch) {
    GptConfig config = small_config();
    config.dropout = 0.2;
    SmallModel model(config);
    const at::Tensor tokens = some_tokens(4, 24, 101, 1);
    const at::Tensor targets = some_tokens(4, 24, 101, 2);
    model.run(tokens, targets);
    const at::Tensor whole = model.gradient.clone();
    model.gradient.zero_();
    model.loss.zero_();
    for (std::int64_t i = 0; i < 4; ++i) {
        DropoutKey key = model.key;
        key.first_sequence_index += i;
        model.gpt.forward_backward(
            tokens.narrow(0, i, 1), targets.narrow(0, i, 1), key, 1.0, model.gradient, model.loss);
    }
    EXPECT_LT(relative_distance(model.gradient, whole), 1e-5);
}

TEST(Gpt, PaddingOfTheVocabularyIsNeverLearnt) {
    SmallModel model(small_config());
    model.run(some_tokens(4, 24, 101, 1), some_tokens(4, 24, 101, 2));
    const ArenaTensor& wte = model.layout.find("transformer.wte.weight");
    ASSERT_EQ(wte.stored_shape.front(), 128);
    const at::Tensor padding = model.gradient.narrow(
        0, wte.begin + wte.element_count(), wte.stored_element_count() - wte.element_count());
    EXPECT_EQ(padding.abs().max().item<float>(), 0.0F);
}

TEST(Gpt, EvaluationIsTheLossOfTrainingWithoutDropout) {
    SmallModel model(small_config());
    const at::Tensor tokens = some_tokens(3, 24, 101, 1);
    const at::Tensor targets = some_tokens(3, 24, 101, 2);
    model.run(tokens, targets);
    EXPECT_NEAR(model.gpt.evaluate(tokens, targets), model.loss.item<double>(), 1e-4);
}

TEST(Gpt, LogitsEqualTheTwin) {
    SmallModel model(small_config());
    const at::Tensor tokens = some_tokens(3, 24, 101, 1);
    const TwinParameters parameters =
        twin_parameters(model.gpt.master(), model.layout, at::kDouble);
    const c10::NoGradGuard no_gradient;
    EXPECT_LT(relative_distance(model.gpt.logits(tokens),
                                twin_logits(model.gpt.config(), parameters, tokens)),
              1e-6);
}

TEST(Gpt, NoNewMemoryAfterTheFirstStepAndEvaluationOnOneThread) {
    const auto& allocator = kernels::install_caching_cpu_allocator();
    // libtorch's attention also allocates inside its threads: with several, how many blocks exist
    // at once depends on how the threads meet, and a later step may take one more.
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
        SmallModel model(small_config(), precision);
        const at::Tensor tokens = some_tokens(4, 24, 101, 1);
        const at::Tensor targets = some_tokens(4, 24, 101, 2);
        model.run(tokens, targets);
        model.gpt.evaluate(tokens, targets);
        const auto before = allocator.statistics();
        for (int i = 0; i < 5; ++i) {
            model.run(tokens, targets);
            model.gpt.evaluate(tokens, targets);
        }
        EXPECT_EQ(allocator.statistics().system_allocations, before.system_allocations);
    }
    at::set_num_threads(threads);
}

TEST(Gpt, PlansTheBytesItTakes) {
    auto& allocator = kernels::install_caching_cpu_allocator();
    for (const Recompute recompute : {Recompute::kNone, Recompute::kNorm, Recompute::kBlock}) {
        GptConfig config = small_config();
        config.n_embd = 384;
        config.block_size = 256;
        config.recompute = recompute;
        const ArenaLayout layout(config, 1);
        const GptOptions options{config, Precision::kBf16, 4};
        const auto kernels = kernels::make_kernels(at::kCPU);
        allocator.release_waiting();
        const std::int64_t before = allocator.statistics().held_bytes;
        Gpt gpt(options, layout, *kernels);
        at::Tensor gradient = at::zeros({layout.element_count()}, at::kFloat);
        at::Tensor loss = at::zeros({}, at::kDouble);
        gpt.forward_backward(
            some_tokens(4, 256, 101, 1), some_tokens(4, 256, 101, 2), {}, 1.0, gradient, loss);
        const auto taken =
            static_cast<double>(allocator.statistics().held_bytes - before - gradient.numel() * 4);
        const auto planned = static_cast<double>(Gpt::bytes_needed(options, layout).total());
        EXPECT_NEAR(taken / planned, 1.0, 0.1) << static_cast<int>(recompute);
    }
}

}  // namespace
}  // namespace holdfast::model
