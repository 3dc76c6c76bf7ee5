#include "model/generation.h"

#include <gtest/gtest.h>

#include "model/model_fixtures.h"

namespace holdfast::model {
namespace {

std::vector<std::int32_t> as_vector(const at::Tensor& tokens) {
    const auto* data = tokens.const_data_ptr<std::int32_t>();
    return {data, data + tokens.numel()};
}

at::Tensor as_tensor(std::span<const float> logits) {
    at::Tensor tensor = at::empty({static_cast<std::int64_t>(logits.size())}, at::kFloat);
    std::copy(logits.begin(), logits.end(), tensor.mutable_data_ptr<float>());
    return tensor;
}

TEST(Generation, LogitsAreThoseOfTheTrainingForward) {
    SmallModel model(small_config());
    const at::Tensor tokens = some_tokens(1, 24, 101, 1);
    const at::Tensor expected = model.gpt.logits(tokens)[0];
    Generation generation(model.gpt);
    const std::vector<std::int32_t> ids = as_vector(tokens);
    auto logits = generation.start(std::span(ids).first(5));
    ASSERT_TRUE(logits.ok());
    for (std::size_t i = 4; i < 24; ++i) {
        EXPECT_LT(
            relative_distance(as_tensor(logits.value()), expected[static_cast<std::int64_t>(i)]),
            1e-5)
            << "after token " << i;
        if (i + 1 < 24) {
            logits = generation.append(ids[i + 1]);
            ASSERT_TRUE(logits.ok());
        }
    }
}

TEST(Generation, GoesOnPastTheContext) {
    SmallModel model(small_config());
    Generation generation(model.gpt);
    const std::vector<std::int32_t> prompt = {1, 2, 3};
    const auto written = generation.generate(prompt, 100, {.temperature = 1.0, .seed = 9}, -1);
    ASSERT_TRUE(written.ok());
    EXPECT_EQ(written.value().size(), 100U);
}

TEST(Generation, AWindowThatSlidReadsItsNewestHalfAgain) {
    SmallModel model(small_config());
    Generation generation(model.gpt);
    const std::vector<std::int32_t> ids = as_vector(some_tokens(1, 25, 101, 1));
    ASSERT_TRUE(generation.start(std::span(ids).first(24)).ok());
    const auto slid = generation.append(ids[24]);
    ASSERT_TRUE(slid.ok());
    const at::Tensor after = as_tensor(slid.value());
    const std::vector<std::int32_t> newest(ids.end() - 12, ids.end());
    const auto fresh = generation.start(newest);
    EXPECT_LT(relative_distance(after, as_tensor(fresh.value())), 1e-6);
}

TEST(Generation, TokensOutsideTheVocabularyAreRefused) {
    SmallModel model(small_config());
    Generation generation(model.gpt);
    const std::vector<std::int32_t> bad = {1, 101};
    EXPECT_EQ(generation.start(bad).error().kind, base::ErrorKind::kInvalid);
    EXPECT_EQ(generation.start({}).error().kind, base::ErrorKind::kInvalid);
}

TEST(Sampler, TemperatureZeroTakesTheLikeliestAndTheLowerOfEquals) {
    Sampler sampler({.temperature = 0.0});
    EXPECT_EQ(sampler.next(std::vector<float>{0.1F, 2.0F, 2.0F, -1.0F}, 0), 1);
}

TEST(Sampler, DrawsAreAFunctionOfSeedAndPosition) {
    const std::vector<float> logits(50, 0.0F);
    Sampler a({.temperature = 1.0, .top_k = 0, .seed = 4});
    Sampler b({.temperature = 1.0, .top_k = 0, .seed = 4});
    int different = 0;
    for (std::int64_t position = 0; position < 100; ++position) {
        const std::int32_t token = a.next(logits, position);
        EXPECT_EQ(b.next(logits, position), token);
        different += token == a.next(logits, position + 1) ? 0 : 1;
    }
    EXPECT_GT(different, 80);
}

TEST(Sampler, FollowsTheProbabilities) {
    const std::vector<float> logits = {0.0F, std::log(3.0F)};
    Sampler sampler({.temperature = 1.0, .top_k = 0, .seed = 1});
    int ones = 0;
    for (std::int64_t position = 0; position < 4000; ++position) {
        ones += sampler.next(logits, position);
    }
    EXPECT_NEAR(ones / 4000.0, 0.75, 0.03);
}

TEST(Sampler, TopKAndTopPNeverLeaveTheirSet) {
    const std::vector<float> logits = {0.0F, 3.0F, 2.0F, 1.0F};
    Sampler top_k({.temperature = 2.0, .top_k = 2, .seed = 1});
    Sampler top_p({.temperature = 1.0, .top_k = 0, .top_p = 0.6, .seed = 1});
    for (std::int64_t position = 0; position < 500; ++position) {
        const std::int32_t k = top_k.next(logits, position);
        EXPECT_TRUE(k == 1 || k == 2);
        EXPECT_EQ(top_p.next(logits, position), 1);  // its probability alone is 0.64
    }
}

}  // namespace
}  // namespace holdfast::model
