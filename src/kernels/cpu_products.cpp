#include "kernels/cpu_products.h"

#include <algorithm>

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

// In libtorch_cpu, whose headers do not declare it: result = beta * result + alpha * mat1 mat2.
namespace at::native {
void mkldnn_matmul(
    const Tensor& mat1, const Tensor& mat2, const Tensor& result, float beta, float alpha);
}  // namespace at::native

namespace holdfast::kernels {

namespace {

// Calls product(rows of a, the same rows of out): all at once in fp32, in blocks in bf16.
template <typename Product>
void for_row_blocks(const at::Tensor& a_MK, at::Tensor& out_MN, const Product& product) {
    const std::int64_t rows = a_MK.size(0);
    if (a_MK.scalar_type() != at::kBFloat16 || rows <= kBf16ProductRows) {
        product(a_MK, out_MN);
        return;
    }
    for (std::int64_t first = 0; first < rows; first += kBf16ProductRows) {
        const std::int64_t count = std::min(kBf16ProductRows, rows - first);
        at::Tensor out = out_MN.narrow(0, first, count);
        product(a_MK.narrow(0, first, count), out);
    }
}

}  // namespace

Fp32Products preferred_fp32_products() {
    return __builtin_cpu_is("intel") != 0 ? Fp32Products::kMkl : Fp32Products::kOneDnn;
}

bool CpuProducts::by_one_dnn(const at::Tensor& a) const {
    return fp32_ == Fp32Products::kOneDnn && a.scalar_type() == at::kFloat && a.numel() > 0;
}

void CpuProducts::multiply(const at::Tensor& a_MK,
                           const at::Tensor& b_KN,
                           at::Tensor& out_MN) const {
    if (by_one_dnn(a_MK)) {
        at::native::mkldnn_matmul(a_MK, b_KN, out_MN, 0.0F, 1.0F);
        return;
    }
    for_row_blocks(
        a_MK, out_MN, [&](const at::Tensor& a, at::Tensor& out) { at::mm_out(out, a, b_KN); });
}

void CpuProducts::multiply_add_bias(const at::Tensor& a_MK,
                                    const at::Tensor& b_KN,
                                    const at::Tensor& bias_N,
                                    at::Tensor& out_MN) const {
    if (by_one_dnn(a_MK)) {
        out_MN.copy_(bias_N.expand_as(out_MN));
        at::native::mkldnn_matmul(a_MK, b_KN, out_MN, 1.0F, 1.0F);
        return;
    }
    for_row_blocks(a_MK, out_MN, [&](const at::Tensor& a, at::Tensor& out) {
        at::addmm_out(out, bias_N, a, b_KN);
    });
}

void CpuProducts::accumulate(const at::Tensor& a_MK,
                             const at::Tensor& b_KN,
                             at::Tensor& sum_MN) const {
    if (by_one_dnn(a_MK)) {
        at::native::mkldnn_matmul(a_MK, b_KN, sum_MN, 1.0F, 1.0F);
    } else {
        at::addmm_out(sum_MN, sum_MN, a_MK, b_KN);
    }
}

}  // namespace holdfast::kernels
