// The CPU kernels as a set: against their libtorch twins, and the bits that they promise.
#include "kernels/native_kernels.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/kernel_cases.h"

namespace holdfast::kernels {
namespace {

struct Variant {
    Fp32Products products;
    at::ScalarType dtype;
};

std::string variant_name(const testing::TestParamInfo<Variant>& info) {
    const std::string products = info.param.products == Fp32Products::kMkl ? "Mkl" : "OneDnn";
    return products + (info.param.dtype == at::kFloat ? "Fp32" : "Bf16");
}

class NativeKernelsTest : public testing::TestWithParam<Variant> {
protected:
    void SetUp() override { threads_ = at::get_num_threads(); }
    void TearDown() override { at::set_num_threads(threads_); }

private:
    int threads_ = 1;
};

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
    return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item().toDouble();
}

double bound_of(at::ScalarType dtype, const at::Tensor& expected) {
    const double largest = expected.to(at::kDouble).abs().max().item().toDouble();
    return (dtype == at::kFloat ? 1e-5 : 1.6e-2) * (largest + 1e-6);
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
    return a.equal(b);
}

TEST_P(NativeKernelsTest, AgreeWithTheirLibtorchTwins) {
    NativeKernels native(GetParam().products);
    const auto twin = make_aten_kernels(at::Device(at::kCPU));
    for (const KernelCase& kernel_case : kernel_cases(GetParam().dtype)) {
        const auto actual = kernel_case.run(native);
        const auto expected = kernel_case.run(*twin);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < actual.size(); ++i) {
            EXPECT_LE(largest_difference(actual[i], expected[i]),
                      bound_of(GetParam().dtype, expected[i]))
                << kernel_case.name << " output " << i;
            EXPECT_EQ(actual[i].scalar_type(), expected[i].scalar_type()) << kernel_case.name;
        }
    }
}

TEST_P(NativeKernelsTest, GiveTheSameBitsRunAfterRun) {
    NativeKernels native(GetParam().products);
    NativeKernels again(GetParam().products);
    for (const KernelCase& kernel_case : kernel_cases(GetParam().dtype)) {
        const auto first = kernel_case.run(native);
        for (Kernels* kernels : {&native, &again}) {
            const auto second = kernel_case.run(*kernels);
            for (std::size_t i = 0; i < first.size(); ++i) {
                EXPECT_TRUE(same_bits(first[i], second[i])) << kernel_case.name << " output " << i;
            }
        }
    }
}

TEST_P(NativeKernelsTest, LoopsGiveTheSameBitsAtAnyThreadCount) {
    NativeKernels native(GetParam().products);
    for (const KernelCase& kernel_case : kernel_cases(GetParam().dtype, 16)) {
        if (kernel_case.name.starts_with("linear")) {
            continue;
        }
        at::set_num_threads(1);
        const auto expected = kernel_case.run(native);
        for (const int threads : {2, 3, 5}) {
            at::set_num_threads(threads);
            const auto actual = kernel_case.run(native);
            for (std::size_t i = 0; i < actual.size(); ++i) {
                EXPECT_TRUE(same_bits(actual[i], expected[i]))
                    << kernel_case.name << " output " << i << " with " << threads << " threads";
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Kernels,
                         NativeKernelsTest,
                         testing::Values(Variant{Fp32Products::kMkl, at::kFloat},
                                         Variant{Fp32Products::kOneDnn, at::kFloat},
                                         Variant{Fp32Products::kMkl, at::kBFloat16}),
                         variant_name);

TEST(NativeKernels, NameTellsTheProducts) {
    EXPECT_STREQ(NativeKernels(Fp32Products::kMkl).name(), "native-mkl");
    EXPECT_STREQ(NativeKernels(Fp32Products::kOneDnn).name(), "native-onednn");
    EXPECT_STREQ(make_kernels(at::Device(at::kCPU))->name(),
                 NativeKernels(preferred_fp32_products()).name());
    EXPECT_STREQ(make_aten_kernels(at::Device(at::kCPU))->name(), "aten");
}

TEST(SelfCheck, PassesOnThisProcessorWithAnyNumberOfThreads) {
    const int before = at::get_num_threads();
    for (const int threads : {1, 2, 3}) {
        at::set_num_threads(threads);
        const base::Status status = self_check(at::Device(at::kCPU));
        EXPECT_TRUE(status.ok()) << threads << " threads: " << status.error().what;
    }
    at::set_num_threads(before);
}

}  // namespace
}  // namespace holdfast::kernels
