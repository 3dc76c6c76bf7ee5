#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/aten_mask.h"
#include "kernels/dropout_mask.h"
#include "kernels/kernels.h"

namespace holdfast::kernels {
namespace {

constexpr std::int64_t kTokens = 6;
constexpr std::int64_t kColumns = 150;  // two groups and a ragged third

DropoutSite test_site() {
    DropoutSite site;
    site.seed = 99;
    site.step = 12345678901;
    site.first_sequence_index = (std::int64_t{1} << 32) - 2;
    site.sequence_tokens = kTokens;
    site.layer = 1;
    site.site = 2;
    site.probability = 0.25;
    return site;
}

// The factors that a kernel applied: ones go in.
at::Tensor factors_of(Kernels& kernels, const DropoutSite& site, std::int64_t rows) {
    at::Tensor out = at::empty({rows, kColumns});
    kernels.dropout_backward(at::ones({rows, kColumns}), site, out);
    return out;
}

class Dropout : public testing::TestWithParam<bool> {
protected:
    Kernels& kernels() { return *kernels_; }

private:
    std::unique_ptr<Kernels> kernels_ =
        GetParam() ? make_kernels(at::Device(at::kCPU)) : make_aten_kernels(at::Device(at::kCPU));
};

TEST_P(Dropout, MaskIsTheOneOfTheDefinition) {
    const DropoutSite site = test_site();
    const at::Tensor factors = factors_of(kernels(), site, 4 * kTokens);
    for (std::int64_t row = 0; row < 4 * kTokens; ++row) {
        for (std::int64_t column = 0; column < kColumns; ++column) {
            const bool keeps = mask_keeps(site, activation_mask_row(site, row), column);
            ASSERT_EQ(factors[row][column].item().toFloat(), keeps ? mask_scale(0.25) : 0.0F)
                << row << " " << column;
        }
    }
}

TEST_P(Dropout, MaskDoesNotDependOnThePlaceInTheMicroBatch) {
    const DropoutSite site = test_site();
    const at::Tensor whole = factors_of(kernels(), site, 4 * kTokens);
    for (std::int64_t sequence = 0; sequence < 4; ++sequence) {
        DropoutSite alone = site;
        alone.first_sequence_index += sequence;
        EXPECT_TRUE(factors_of(kernels(), alone, kTokens)
                        .equal(whole.narrow(0, sequence * kTokens, kTokens)));
    }
}

TEST_P(Dropout, EveryPartOfTheKeyChangesTheMask) {
    const DropoutSite site = test_site();
    const at::Tensor mask = factors_of(kernels(), site, kTokens);
    std::vector<DropoutSite> others(6, site);
    others[0].seed += 1;
    others[1].step += 1;
    others[2].first_sequence_index += 1;
    others[3].layer += 1;
    others[4].site += 1;
    others[5].step += std::int64_t{1} << 32;
    for (const DropoutSite& other : others) {
        EXPECT_FALSE(factors_of(kernels(), other, kTokens).equal(mask));
    }
}

TEST_P(Dropout, KeepsTheShareThatItShould) {
    DropoutSite site = test_site();
    site.probability = 0.1;
    site.sequence_tokens = 1000;
    const at::Tensor factors = factors_of(kernels(), site, 1000);
    EXPECT_NEAR(factors.gt(0.0).to(at::kDouble).mean().item().toDouble(), 0.9, 0.003);
    EXPECT_NEAR(factors.to(at::kDouble).mean().item().toDouble(), 1.0, 0.004);
}

TEST_P(Dropout, ForwardAndBackwardSeeTheSameMask) {
    const DropoutSite site = test_site();
    const std::int64_t rows = 2 * kTokens;
    const at::Tensor branch = at::full({rows, kColumns}, 2.0);
    at::Tensor residual = at::full({rows, kColumns}, 5.0);
    kernels().dropout_add(residual, branch, site, residual);
    EXPECT_TRUE(residual.equal(factors_of(kernels(), site, rows).mul(2.0).add(5.0)));
}

TEST_P(Dropout, ProbabilityZeroIsAnAdditionAndACopy) {
    const DropoutSite site;
    const at::Tensor a = at::randn({7, kColumns});
    const at::Tensor b = at::randn({7, kColumns});
    at::Tensor out = at::empty({7, kColumns});
    kernels().dropout_add(a, b, site, out);
    EXPECT_TRUE(out.equal(a.add(b)));
    kernels().dropout_backward(a, site, out);
    EXPECT_TRUE(out.equal(a));
}

TEST_P(Dropout, EmbeddingUsesTheSameMaskBothWays) {
    const DropoutSite site = test_site();
    const std::int64_t rows = 3 * kTokens;
    const at::Tensor tokens = at::zeros({3, kTokens}, at::TensorOptions().dtype(at::kInt));
    const at::Tensor expected = factors_of(kernels(), site, rows);
    at::Tensor out = at::empty({rows, kColumns});
    kernels().embedding_forward(
        tokens, at::ones({4, kColumns}), at::zeros({kTokens, kColumns}), site, out);
    EXPECT_TRUE(out.equal(expected));
    at::Tensor dwte = at::zeros({4, kColumns});
    at::Tensor dwpe = at::zeros({kTokens, kColumns});
    kernels().embedding_backward(at::ones({rows, kColumns}), tokens, site, dwte, dwpe);
    EXPECT_TRUE(dwpe.allclose(expected.view({3, kTokens, kColumns}).sum({0})));
    EXPECT_TRUE(dwte[0].allclose(expected.sum({0})));
    EXPECT_EQ(dwte.narrow(0, 1, 3).abs().max().item().toFloat(), 0.0F);
}

std::string set_name(const testing::TestParamInfo<bool>& param) {
    return param.param ? "Native" : "Aten";
}

INSTANTIATE_TEST_SUITE_P(Kernels, Dropout, testing::Bool(), set_name);

TEST(AttentionMask, LoopsAndTensorsMakeTheSameBits) {
    DropoutSite site = test_site();
    AttentionTile tile;
    tile.sequence = 3;
    tile.first_head = 2;
    tile.head_count = 3;
    tile.first_query = 11;
    tile.query_count = 5;
    tile.key_count = kColumns;
    const at::Tensor factors = aten_attention_factors(site, tile, at::Device(at::kCPU));
    EXPECT_TRUE(attention_factors(site, tile, at::Device(at::kCPU)).equal(factors));
    for (std::int64_t key = 0; key < kColumns; ++key) {
        const MaskRow row{site.first_sequence_index + 3, 2 + 1, 11 + 4};
        EXPECT_EQ(factors[1][4][key].item().toFloat() > 0.0F, mask_keeps(site, row, key)) << key;
    }
}

TEST(AttentionMask, DoesNotDependOnThePlaceInTheMicroBatch) {
    const auto kernels = make_kernels(at::Device(at::kCPU));
    const at::Tensor qkv = at::randn({3, kTokens, 3 * 32});
    DropoutSite site = test_site();
    AttentionMemory whole;
    kernels->attention_forward(qkv, 2, site, whole);
    for (std::int64_t sequence = 0; sequence < 3; ++sequence) {
        DropoutSite alone = site;
        alone.first_sequence_index += sequence;
        AttentionMemory memory;
        kernels->attention_forward(qkv.narrow(0, sequence, 1), 2, alone, memory);
        EXPECT_TRUE(memory.out.allclose(whole.out.narrow(0, sequence, 1), 1e-6, 1e-6));
    }
}

}  // namespace
}  // namespace holdfast::kernels
