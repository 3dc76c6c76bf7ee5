// Matrix products of two-dimensional CPU tensors, by the library that is fast on this processor.
//
// bf16 products are oneDNN's through libtorch everywhere. fp32 products are MKL's on Intel; MKL
// keeps its AVX-512 code from other vendors' processors, where oneDNN's is about twice as fast. The
// two give different bits, so the choice is stored with a run (Kernels::name()).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace holdfast::kernels {

enum class Fp32Products { kMkl, kOneDnn };

// By the processor's vendor.
Fp32Products preferred_fp32_products();

// libtorch computes a bf16 product in fp32, in memory of its own for all rows it is given, so it is
// given this many at a time.
inline constexpr std::int64_t kBf16ProductRows = 256;

class CpuProducts {
public:
    explicit CpuProducts(Fp32Products fp32) : fp32_(fp32) {}

    [[nodiscard]] Fp32Products fp32() const { return fp32_; }

    // out_MN = a_MK b_KN.
    void multiply(const at::Tensor& a_MK, const at::Tensor& b_KN, at::Tensor& out_MN) const;
    // out_MN = a_MK b_KN + bias_N in every row.
    void multiply_add_bias(const at::Tensor& a_MK,
                           const at::Tensor& b_KN,
                           const at::Tensor& bias_N,
                           at::Tensor& out_MN) const;
    // sum_MN += a_MK b_KN, all fp32.
    void accumulate(const at::Tensor& a_MK, const at::Tensor& b_KN, at::Tensor& sum_MN) const;

private:
    [[nodiscard]] bool by_one_dnn(const at::Tensor& a) const;

    Fp32Products fp32_;
};

}  // namespace holdfast::kernels
