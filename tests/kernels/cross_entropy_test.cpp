#include <cmath>
#include <limits>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace holdfast::kernels {
namespace {

constexpr std::int64_t kVocab = 70;
constexpr std::int64_t kPadded = 128;

class CrossEntropy : public testing::TestWithParam<at::ScalarType> {
protected:
    double loss_of(const at::Tensor& logits, const at::Tensor& targets) {
        at::Tensor loss = at::zeros({}, at::TensorOptions().dtype(at::kDouble));
        kernels_->cross_entropy_loss(logits, targets, kVocab, loss);
        return loss.item().toDouble();
    }
    at::Tensor normal(std::int64_t rows) {
        return at::randn({rows, kPadded}, generator_, at::TensorOptions()).to(GetParam());
    }
    static at::Tensor targets_of(std::int64_t rows, std::int64_t target) {
        return at::full({rows}, target, at::TensorOptions().dtype(at::kInt));
    }
    Kernels& kernels() { return *kernels_; }

private:
    std::unique_ptr<Kernels> kernels_ = make_kernels(at::Device(at::kCPU));
    at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(5);
};

TEST_P(CrossEntropy, PaddingNeverGetsProbability) {
    at::Tensor logits = normal(9);
    at::Tensor loud = logits.clone();
    loud.narrow(1, kVocab, kPadded - kVocab).fill_(1e30);
    const at::Tensor targets = targets_of(9, 4);
    EXPECT_EQ(loss_of(logits, targets), loss_of(loud, targets));
    at::Tensor loss = at::zeros({}, at::TensorOptions().dtype(at::kDouble));
    kernels().cross_entropy_in_place(logits, targets, kVocab, 1.0, loss);
    kernels().cross_entropy_in_place(loud, targets, kVocab, 1.0, loss);
    EXPECT_TRUE(logits.equal(loud));
    EXPECT_EQ(loud.narrow(1, kVocab, kPadded - kVocab).abs().max().item().toFloat(), 0.0F);
}

TEST_P(CrossEntropy, GradientOfARowSumsToZero) {
    at::Tensor logits = normal(33);
    at::Tensor loss = at::zeros({}, at::TensorOptions().dtype(at::kDouble));
    kernels().cross_entropy_in_place(logits, targets_of(33, 69), kVocab, 2.0, loss);
    const at::Tensor sums = logits.to(at::kDouble).sum({1}).abs();
    EXPECT_LE(sums.max().item().toDouble(), GetParam() == at::kFloat ? 2e-6 : 3e-2);
    EXPECT_LT(logits.narrow(1, 69, 1).max().item().toFloat(), 0.0F);
}

TEST_P(CrossEntropy, HugeLogitsStayFinite) {
    at::Tensor logits = normal(3).mul_(1e4);
    const double nats = loss_of(logits, targets_of(3, 0));
    EXPECT_TRUE(std::isfinite(nats));
    at::Tensor loss = at::zeros({}, at::TensorOptions().dtype(at::kDouble));
    kernels().cross_entropy_in_place(logits, targets_of(3, 0), kVocab, 1.0, loss);
    EXPECT_EQ(loss.item().toDouble(), nats);
    EXPECT_TRUE(logits.isfinite().all().item().toBool());
}

TEST_P(CrossEntropy, ANanLogitMakesTheLossNan) {
    at::Tensor logits = normal(3);
    logits[1][13] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(loss_of(logits, targets_of(3, 0))));
    EXPECT_TRUE(std::isfinite(loss_of(logits.narrow(0, 2, 1), targets_of(1, 0))));
}

TEST_P(CrossEntropy, RowsWithoutATargetCountNothing) {
    at::Tensor logits = normal(4);
    logits[1].fill_(std::numeric_limits<float>::quiet_NaN());
    at::Tensor targets = targets_of(4, 7);
    targets[1] = -1;
    const double nats = loss_of(logits, targets);
    const double first = loss_of(logits.narrow(0, 0, 1), targets_of(1, 7));
    const double rest = loss_of(logits.narrow(0, 2, 2), targets_of(2, 7));
    EXPECT_DOUBLE_EQ(nats, first + rest);
    at::Tensor loss = at::zeros({}, at::TensorOptions().dtype(at::kDouble));
    kernels().cross_entropy_in_place(logits, targets, kVocab, 1.0, loss);
    EXPECT_EQ(logits[1].abs().max().item().toFloat(), 0.0F);
}

TEST_P(CrossEntropy, UniformLogitsCostTheLogarithmOfTheVocabulary) {
    const at::Tensor logits = at::zeros({5, kPadded}, at::TensorOptions().dtype(GetParam()));
    EXPECT_NEAR(loss_of(logits, targets_of(5, 3)), 5.0 * std::log(kVocab), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CrossEntropy, testing::Values(at::kFloat, at::kBFloat16));

}  // namespace
}  // namespace holdfast::kernels
