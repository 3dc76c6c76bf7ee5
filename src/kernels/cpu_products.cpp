#include "kernels/cpu_products.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

// In libtorch_cpu, whose headers do not declare it: result = beta * result + alpha * mat1 mat2.
namespace at::native {
void mkldnn_matmul(
    const Tensor& mat1, const Tensor& mat2, const Tensor& result, float beta, float alpha);
}  // namespace at::native

namespace holdfast::kernels {

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
    } else {
        at::mm_out(out_MN, a_MK, b_KN);
    }
}

void CpuProducts::multiply_add_bias(const at::Tensor& a_MK,
                                    const at::Tensor& b_KN,
                                    const at::Tensor& bias_N,
                                    at::Tensor& out_MN) const {
    if (by_one_dnn(a_MK)) {
        out_MN.copy_(bias_N.expand_as(out_MN));
        at::native::mkldnn_matmul(a_MK, b_KN, out_MN, 1.0F, 1.0F);
    } else {
        at::addmm_out(out_MN, bias_N, a_MK, b_KN);
    }
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
