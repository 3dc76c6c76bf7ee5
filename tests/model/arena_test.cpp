#include "model/arena.h"

#include <gtest/gtest.h>

#include "model/initialisation.h"
#include "model/model_fixtures.h"

namespace holdfast::model {
namespace {

TEST(ArenaLayout, TensorsAreAlignedInOrderAndDoNotOverlap) {
    const ArenaLayout layout(small_config(), 4);
    std::int64_t end = 0;
    for (const ArenaTensor& tensor : layout.tensors()) {
        EXPECT_EQ(tensor.begin % 16, 0) << tensor.name;
        EXPECT_GE(tensor.begin, end) << tensor.name;
        end = tensor.begin + tensor.stored_element_count();
    }
    EXPECT_LE(end, layout.element_count());
}

TEST(ArenaLayout, EveryBucketCutsIntoEqualPiecesForTheLanes) {
    for (const std::int64_t lanes : {1, 2, 3, 8}) {
        const ArenaLayout layout(small_config(), lanes);
        std::int64_t begin = 0;
        for (const ArenaBucket& bucket : layout.buckets()) {
            EXPECT_EQ(bucket.begin, begin);
            EXPECT_EQ((bucket.end - bucket.begin) % (lanes * kPieceElements), 0);
            begin = bucket.end;
        }
        EXPECT_EQ(begin, layout.element_count());
    }
}

TEST(ArenaLayout, HoldsEveryParameterOnce) {
    const GptConfig config = small_config();
    std::int64_t count = 0;
    const ArenaLayout layout(config, 1);
    for (const ArenaTensor& tensor : layout.tensors()) {
        count += tensor.element_count();
    }
    EXPECT_EQ(count, config.parameter_count());
}

TEST(ArenaLayout, BlocksStandInBackwardOrderAndEmbeddingsLast) {
    const ArenaLayout layout(small_config(), 1);
    EXPECT_EQ(layout.tensors().front().name, "transformer.ln_f.weight");
    EXPECT_LT(layout.find("transformer.h.1.ln_1.weight").begin,
              layout.find("transformer.h.0.ln_1.weight").begin);
    EXPECT_EQ(layout.tensors().back().name, "transformer.wpe.weight");
}

TEST(ArenaLayout, OnlyMatricesAndEmbeddingsDecay) {
    const ArenaLayout layout(small_config(), 1);
    for (const ArenaTensor& tensor : layout.tensors()) {
        EXPECT_EQ(tensor.decays, tensor.shape.size() == 2) << tensor.name;
    }
}

TEST(Initialisation, DoesNotDependOnTheLayout) {
    const GptConfig config = small_config();
    const auto kernels = kernels::make_kernels(at::kCPU);
    const ArenaLayout one(config, 1);
    const ArenaLayout eight(config, 8);
    Gpt a({config, Precision::kFp32, 1}, one, *kernels);
    Gpt b({config, Precision::kFp32, 1}, eight, *kernels);
    a.initialise(3);
    b.initialise(3);
    for (const ArenaTensor& tensor : one.tensors()) {
        EXPECT_TRUE(same_bits(ArenaLayout::view(a.master(), tensor),
                              ArenaLayout::view(b.master(), eight.find(tensor.name))))
            << tensor.name;
    }
}

TEST(Initialisation, HasTheDeviationOfGpt2) {
    GptConfig config = small_config();
    config.n_layer = 8;
    std::vector<float> values(100001);
    initialise_tensor("transformer.h.0.attn.c_attn.weight", config, 1, values);
    const at::Tensor normal = at::from_blob(values.data(), {100001});
    EXPECT_NEAR(normal.mean().item<float>(), 0.0F, 3e-4F);
    EXPECT_NEAR(normal.std().item<float>(), 0.02F, 2e-4F);
    initialise_tensor("transformer.h.0.mlp.c_proj.weight", config, 1, values);
    EXPECT_NEAR(normal.std().item<float>(), 0.02F / 4.0F, 1e-4F);
    initialise_tensor("transformer.h.0.ln_1.weight", config, 1, values);
    EXPECT_EQ(normal.min().item<float>(), 1.0F);
}

TEST(GptConfig, WrongShapesAreNamed) {
    GptConfig config = small_config();
    config.n_head = 5;
    EXPECT_NE(config.validate().error().what.find("model.n_head 5 does not divide model.n_embd 48"),
              std::string::npos);
    config = small_config();
    config.dropout = 1.0;
    EXPECT_FALSE(config.validate().ok());
    EXPECT_TRUE(small_config().validate().ok());
}

}  // namespace
}  // namespace holdfast::model
