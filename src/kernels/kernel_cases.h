// Every kernel once, on small inputs with ragged sizes: what self_check and the tests run.
#pragma once

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

// `dtype` is fp32 or bf16.
std::vector<KernelCase> kernel_cases(at::ScalarType dtype);

}  // namespace holdfast::kernels
