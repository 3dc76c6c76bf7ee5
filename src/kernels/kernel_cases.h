// Every kernel once, on small inputs with ragged sizes: what self_check and the tests run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/kernels.h"

namespace holdfast::kernels {

struct KernelCase {
    std::string name;
    // Runs on the kernels' device from inputs that are the same everywhere; returns every output,
    // on the CPU.
    std::function<std::vector<at::Tensor>(Kernels&)> run;
};

inline constexpr std::int64_t kCaseSequences = 3;

// `dtype` is fp32 or bf16. With 16 sequences or more every loop has work for several threads.
std::vector<KernelCase> kernel_cases(at::ScalarType dtype, std::int64_t sequences = kCaseSequences);

}  // namespace holdfast::kernels
