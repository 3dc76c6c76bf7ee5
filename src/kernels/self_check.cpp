#include <cmath>

#include <fmt/format.h>

#include "kernels/kernel_cases.h"
#include "kernels/kernels.h"

namespace holdfast::kernels {
namespace {

// Of the largest element: orders of summation and, in bf16, where a value is rounded may differ.
constexpr double kBoundFp32 = 3e-5;
constexpr double kBoundBf16 = 2e-2;

double relative_difference(const at::Tensor& actual, const at::Tensor& expected) {
    const at::Tensor reference = expected.to(at::kDouble);
    const double difference = actual.to(at::kDouble).sub(reference).abs().max().item().toDouble();
    return difference / (1e-6 + reference.abs().max().item().toDouble());
}

base::Status check_dtype(Kernels& kernels, Kernels& reference, at::ScalarType dtype) {
    const double bound = dtype == at::kFloat ? kBoundFp32 : kBoundBf16;
    for (const KernelCase& kernel_case : kernel_cases(dtype)) {
        const std::vector<at::Tensor> actual = kernel_case.run(kernels);
        const std::vector<at::Tensor> expected = kernel_case.run(reference);
        for (std::size_t i = 0; i < actual.size(); ++i) {
            const double difference = relative_difference(actual[i], expected[i]);
            // Also false for NaN.
            if (!(difference <= bound)) {
                return base::Error{
                    base::ErrorKind::kInvalid,
                    fmt::format("kernel {} ({}, {}) differs from libtorch on the CPU by {:.2g} of "
                                "the largest element in output {}, allowed {:.2g}: do not train "
                                "on {} before this is explained",
                                kernel_case.name,
                                kernels.name(),
                                c10::toString(dtype),
                                difference,
                                i,
                                bound,
                                kernels.device().str())};
            }
        }
    }
    return {};
}

}  // namespace

base::Status self_check(at::Device device) {
    const std::unique_ptr<Kernels> kernels = make_kernels(device);
    const std::unique_ptr<Kernels> reference = make_aten_kernels(at::Device(at::kCPU));
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        base::Status status = check_dtype(*kernels, *reference, dtype);
        if (!status.ok()) {
            return status;
        }
    }
    return {};
}

}  // namespace holdfast::kernels
