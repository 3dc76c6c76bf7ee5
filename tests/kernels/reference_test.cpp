// The kernels against fp64 autograd: layer norm, GELU, attention, cross-entropy.
#include <cmath>
#include <limits>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace holdfast::kernels {
namespace {

constexpr std::int64_t kRows = 70;
constexpr std::int64_t kChannels = 200;

class Reference : public testing::Test {
protected:
    at::Tensor normal(std::vector<std::int64_t> shape) {
        return at::randn(shape, generator_, at::TensorOptions().dtype(at::kFloat));
    }
    at::Tensor targets(std::int64_t low, std::int64_t high, std::int64_t count) {
        return at::randint(low, high, {count}, generator_, at::TensorOptions().dtype(at::kInt));
    }
    Kernels& kernels() { return *kernels_; }

private:
    at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(11);
    std::unique_ptr<Kernels> kernels_ = make_kernels(at::Device(at::kCPU));
};

at::Tensor leaf(const at::Tensor& values) {
    return values.to(at::kDouble).set_requires_grad(true);
}

void expect_close(const at::Tensor& actual, const at::Tensor& expected, double bound) {
    const double difference =
        actual.to(at::kDouble).sub(expected.detach()).abs().max().item().toDouble();
    EXPECT_LE(difference, bound);
}

TEST_F(Reference, LayerNormFollowsAutograd) {
    const at::Tensor x = normal({kRows, kChannels}).mul_(2.0).add_(3.0);
    const at::Tensor gamma = normal({kChannels});
    const at::Tensor beta = normal({kChannels});
    const at::Tensor dout = normal({kRows, kChannels});
    at::Tensor out = at::empty_like(x);
    at::Tensor mean = at::empty({kRows});
    at::Tensor rstd = at::empty({kRows});
    at::Tensor dx = at::zeros({kRows, kChannels});
    at::Tensor dgamma = at::zeros({kChannels});
    at::Tensor dbeta = at::zeros({kChannels});
    kernels().layer_norm_forward(x, gamma, beta, out, mean, rstd);
    kernels().layer_norm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta);

    const at::Tensor x64 = leaf(x);
    const at::Tensor gamma64 = leaf(gamma);
    const at::Tensor beta64 = leaf(beta);
    const at::Tensor out64 = at::layer_norm(x64, {kChannels}, gamma64, beta64, 1e-5);
    out64.backward(dout.to(at::kDouble));
    expect_close(out, out64, 4e-6);
    expect_close(mean, x64.mean({1}), 1e-6);
    expect_close(dx, x64.grad(), 4e-6);
    expect_close(dgamma, gamma64.grad(), 2e-5);
    expect_close(dbeta, beta64.grad(), 2e-5);
}

// libtorch's own sums them in bf16, also for the reference kernels.
TEST_F(Reference, WeightGradientsOfBf16LayerNormAreSumsInFp32) {
    constexpr std::int64_t kManyRows = 8192;
    const at::Tensor x = normal({kManyRows, kChannels}).to(at::kBFloat16);
    const at::Tensor gamma = normal({kChannels}).to(at::kBFloat16);
    const at::Tensor beta = normal({kChannels}).to(at::kBFloat16);
    const at::Tensor dout = normal({kManyRows, kChannels}).to(at::kBFloat16);
    const at::Tensor gamma64 = leaf(gamma);
    const at::Tensor beta64 = leaf(beta);
    at::layer_norm(x.to(at::kDouble), {kChannels}, gamma64, beta64, 1e-5)
        .backward(dout.to(at::kDouble));
    const std::unique_ptr<Kernels> aten = make_aten_kernels(at::Device(at::kCPU));
    for (Kernels* each : {&kernels(), aten.get()}) {
        at::Tensor out = at::empty_like(x);
        at::Tensor mean = at::empty({kManyRows});
        at::Tensor rstd = at::empty({kManyRows});
        at::Tensor dx = at::zeros_like(x);
        at::Tensor dgamma = at::zeros({kChannels});
        at::Tensor dbeta = at::zeros({kChannels});
        each->layer_norm_forward(x, gamma, beta, out, mean, rstd);
        each->layer_norm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta);
        // Of sums of about 90, the largest of 300.
        expect_close(dgamma, gamma64.grad(), 2e-3);
        expect_close(dbeta, beta64.grad(), 2e-3);
    }
}

TEST_F(Reference, GeluStaysWithinItsDocumentedError) {
    const at::Tensor x = at::linspace(-12.0, 12.0, 240001, at::TensorOptions().dtype(at::kFloat));
    at::Tensor out = at::empty_like(x);
    at::Tensor dout = at::ones({x.size(0)});
    kernels().gelu_forward(x, out);
    kernels().gelu_backward(x, dout);
    const at::Tensor x64 = leaf(x);
    const at::Tensor out64 = at::gelu(x64, "tanh");
    out64.backward(at::ones({x.size(0)}, at::TensorOptions().dtype(at::kDouble)));
    const at::Tensor error = out.to(at::kDouble).sub(out64.detach()).abs();
    const at::Tensor scale = x64.detach().abs().add(1e-12);
    EXPECT_LE(error.div(scale).max().item().toDouble(), 4e-7);
    expect_close(dout, x64.grad(), 1.5e-6);
}

TEST_F(Reference, GeluPassesNanOnAndSaturates) {
    const float inf = std::numeric_limits<float>::infinity();
    const at::Tensor x = at::empty({20}).fill_(std::nanf(""));
    x[0] = 1e30;
    x[1] = -1e30;
    x[2] = -100.0;
    x[3] = inf;
    at::Tensor out = at::empty({20});
    kernels().gelu_forward(x, out);
    EXPECT_EQ(out[0].item().toFloat(), 1e30F);
    EXPECT_NEAR(out[1].item().toFloat(), 0.0F, 1e-7F);
    EXPECT_NEAR(out[2].item().toFloat(), 0.0F, 1e-30F);
    EXPECT_EQ(out[3].item().toFloat(), inf);
    EXPECT_TRUE(std::isnan(out[4].item().toFloat()));
    EXPECT_TRUE(std::isnan(out[19].item().toFloat()));
}

// softmax(q k^T / sqrt(D) + causal mask) v, with the kept weights of `factors` [B, H, T, T].
at::Tensor plain_attention(const at::Tensor& qkv, std::int64_t heads, const at::Tensor& factors) {
    const std::int64_t sequences = qkv.size(0);
    const std::int64_t tokens = qkv.size(1);
    const std::int64_t head_size = qkv.size(2) / 3 / heads;
    const at::Tensor parts =
        qkv.view({sequences, tokens, 3, heads, head_size}).permute({2, 0, 3, 1, 4});
    const at::Tensor scores = parts[0]
                                  .matmul(parts[1].transpose(2, 3))
                                  .mul(1.0 / std::sqrt(static_cast<double>(head_size)));
    const at::Tensor later =
        at::ones({tokens, tokens}, at::TensorOptions().dtype(at::kBool)).triu(1);
    const at::Tensor weights =
        at::softmax(scores.masked_fill(later, -std::numeric_limits<double>::infinity()), 3);
    return weights.mul(factors).matmul(parts[2]).transpose(1, 2).reshape(
        {sequences, tokens, heads * head_size});
}

struct AttentionShape {
    std::int64_t sequences;
    std::int64_t tokens;
    std::int64_t heads;
    std::int64_t head_size;
};

class AttentionReference : public Reference, public testing::WithParamInterface<AttentionShape> {};

TEST_P(AttentionReference, FollowsAutograd) {
    const auto [sequences, tokens, heads, head_size] = GetParam();
    const std::int64_t channels = heads * head_size;
    const at::Tensor qkv = normal({sequences, tokens, 3 * channels});
    const at::Tensor dout = normal({sequences, tokens, channels});
    at::Tensor dqkv = at::empty({sequences, tokens, 3 * channels});
    AttentionMemory memory;
    kernels().attention_forward(qkv, heads, DropoutSite{}, memory);
    kernels().attention_backward(dout, qkv, heads, DropoutSite{}, memory, dqkv);

    const at::Tensor qkv64 = leaf(qkv);
    const at::Tensor out64 =
        plain_attention(qkv64, heads, at::ones({}, at::TensorOptions().dtype(at::kDouble)));
    out64.backward(dout.to(at::kDouble));
    expect_close(memory.out, out64, 3e-6);
    expect_close(dqkv, qkv64.grad(), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Shapes,
                         AttentionReference,
                         testing::Values(AttentionShape{2, 33, 3, 24},
                                         AttentionShape{1, 1, 2, 8},
                                         AttentionShape{1, 300, 2, 64},
                                         AttentionShape{3, 5, 1, 7}));

TEST_F(Reference, AttentionWithDropoutFollowsAutogradUnderTheSameMask) {
    constexpr std::int64_t kSequences = 2;
    constexpr std::int64_t kTokens = 67;
    constexpr std::int64_t kHeads = 3;
    constexpr std::int64_t kHeadSize = 16;
    const at::Tensor qkv = normal({kSequences, kTokens, 3 * kHeads * kHeadSize});
    const at::Tensor dout = normal({kSequences, kTokens, kHeads * kHeadSize});
    DropoutSite site;
    site.seed = 3;
    site.step = 9;
    site.first_sequence_index = 40;
    site.probability = 0.4;
    // The mask itself: with equal scores and v the unit vectors, out shows the kept weights.
    const at::Tensor factors =
        at::zeros({kSequences, kHeads, kTokens, kTokens}, at::TensorOptions().dtype(at::kDouble));
    for (std::int64_t key = 0; key < kTokens; ++key) {
        at::Tensor probe = at::zeros_like(qkv);
        probe.view({kSequences, kTokens, 3, kHeads, kHeadSize})
            .select(2, 2)
            .select(1, key)
            .fill_(1);
        AttentionMemory memory;
        kernels().attention_forward(probe, kHeads, site, memory);
        factors.select(3, key).copy_(memory.out.view({kSequences, kTokens, kHeads, kHeadSize})
                                         .select(3, 0)
                                         .transpose(1, 2)
                                         .gt(0.0)
                                         .to(at::kDouble)
                                         .div(1.0 - site.probability));
    }
    at::Tensor dqkv = at::empty_like(qkv);
    AttentionMemory memory;
    kernels().attention_forward(qkv, kHeads, site, memory);
    kernels().attention_backward(dout, qkv, kHeads, site, memory, dqkv);
    const at::Tensor qkv64 = leaf(qkv);
    const at::Tensor out64 = plain_attention(qkv64, kHeads, factors);
    out64.backward(dout.to(at::kDouble));
    expect_close(memory.out, out64, 4e-6);
    expect_close(dqkv, qkv64.grad(), 2e-5);
}

TEST_F(Reference, CrossEntropyFollowsAutograd) {
    constexpr std::int64_t kVocab = 5003;
    constexpr std::int64_t kPadded = 5056;
    constexpr double kScale = 0.125;
    at::Tensor logits = normal({kRows, kPadded}).mul_(4.0);
    const at::Tensor target = targets(-1, kVocab, kRows);
    target[3] = -1;
    at::Tensor loss = at::ones({}, at::TensorOptions().dtype(at::kDouble));
    const at::Tensor logits64 = leaf(logits.narrow(1, 0, kVocab));
    const at::Tensor loss64 = at::cross_entropy_loss(
        logits64, target.to(at::kLong), std::nullopt, at::Reduction::Sum, -1);
    loss64.mul(kScale).backward();

    kernels().cross_entropy_in_place(logits, target, kVocab, kScale, loss);
    const double nats = loss64.item().toDouble();
    EXPECT_NEAR(loss.item().toDouble(), 1.0 + nats, 1e-6 * nats);
    expect_close(logits.narrow(1, 0, kVocab), logits64.grad(), 2e-7 * kScale * 4.0);
    EXPECT_EQ(logits.narrow(1, kVocab, kPadded - kVocab).abs().max().item().toFloat(), 0.0F);
    EXPECT_EQ(logits[3].abs().max().item().toFloat(), 0.0F);
}

}  // namespace
}  // namespace holdfast::kernels
