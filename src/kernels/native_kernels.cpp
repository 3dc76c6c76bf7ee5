#include "kernels/native_kernels.h"

#include <cstring>

#include <ATen/ops/empty.h>

#include "base/check.h"
#include "kernels/aten_attention.h"
#include "kernels/cross_entropy_loops.h"
#include "kernels/dropout_loops.h"
#include "kernels/embedding_loops.h"
#include "kernels/gelu_loops.h"
#include "kernels/layer_norm_loops.h"
#include "kernels/sum_loops.h"
#include "kernels/tensor_memory.h"

namespace holdfast::kernels {
namespace {

void add_column_sums(const at::Tensor& rows_NO, at::Tensor& sums_O) {
    by_element(rows_NO, [&](auto element) {
        using T = decltype(element);
        const T* values = read<T>(rows_NO);
        float* sums = write<float>(sums_O);
        const std::int64_t rows = rows_NO.size(0);
        const std::int64_t columns = rows_NO.size(1);
        parallel_columns(rows, columns, [=](std::int64_t begin, std::int64_t end) {
            column_sums_loop(values, rows, columns, sums, begin, end);
        });
    });
}

}  // namespace

const char* NativeKernels::name() const {
    return products_.fp32() == Fp32Products::kMkl ? "native-mkl" : "native-onednn";
}

at::Tensor NativeKernels::product_scratch(const at::Tensor& like) {
    const std::int64_t count = like.numel();
    if (!product_scratch_.defined() || product_scratch_.numel() < count) {
        product_scratch_ = at::Tensor();
        product_scratch_ = at::empty({count}, like.options().dtype(at::kBFloat16));
    }
    return product_scratch_.narrow(0, 0, count).view(like.sizes());
}

void NativeKernels::linear_forward(const at::Tensor& x_NI,
                                   const at::Tensor& weight_OI,
                                   const at::Tensor& bias_O,
                                   at::Tensor& out_NO) {
    if (bias_O.defined()) {
        products_.multiply_add_bias(x_NI, weight_OI.t(), bias_O, out_NO);
    } else {
        products_.multiply(x_NI, weight_OI.t(), out_NO);
    }
}

void NativeKernels::linear_backward_input(const at::Tensor& dout_NO,
                                          const at::Tensor& weight_OI,
                                          at::Tensor& dx_NI) {
    products_.multiply(dout_NO, weight_OI, dx_NI);
}

void NativeKernels::linear_backward_weight(const at::Tensor& dout_NO,
                                           const at::Tensor& x_NI,
                                           at::Tensor& dweight_OI,
                                           at::Tensor& dbias_O) {
    if (x_NI.scalar_type() == at::kFloat) {
        products_.accumulate(dout_NO.t(), x_NI, dweight_OI);
    } else {
        at::Tensor product = product_scratch(dweight_OI);
        products_.multiply(dout_NO.t(), x_NI, product);
        const Bf16Bits* addend = read<Bf16Bits>(product);
        float* sum = write<float>(dweight_OI);
        parallel_elements(product.numel(), [=](std::int64_t begin, std::int64_t end) {
            accumulate_loop(addend + begin, sum + begin, end - begin);
        });
    }
    if (dbias_O.defined()) {
        add_column_sums(dout_NO, dbias_O);
    }
}

void NativeKernels::layer_norm_forward(const at::Tensor& x_NC,
                                       const at::Tensor& gamma_C,
                                       const at::Tensor& beta_C,
                                       at::Tensor& out_NC,
                                       at::Tensor& mean_N,
                                       at::Tensor& rstd_N) {
    by_element(x_NC, [&](auto element) {
        using T = decltype(element);
        const NormInput<T> input{read<T>(x_NC), read<T>(gamma_C), x_NC.size(1)};
        const T* beta = read_if_defined<T>(beta_C);
        T* out = write<T>(out_NC);
        float* mean = write<float>(mean_N);
        float* rstd = write<float>(rstd_N);
        parallel_rows(x_NC.size(0), x_NC.size(1), [&](std::int64_t begin, std::int64_t end) {
            norm_forward_loop(input, beta, out, mean, rstd, begin, end);
        });
    });
}

void NativeKernels::layer_norm_backward(const at::Tensor& dout_NC,
                                        const at::Tensor& x_NC,
                                        const at::Tensor& gamma_C,
                                        const at::Tensor& mean_N,
                                        const at::Tensor& rstd_N,
                                        at::Tensor& dresidual_NC,
                                        at::Tensor& dgamma_C,
                                        at::Tensor& dbeta_C) {
    by_element(x_NC, [&](auto element) {
        using T = decltype(element);
        const std::int64_t rows = x_NC.size(0);
        const std::int64_t channels = x_NC.size(1);
        const NormInput<T> input{read<T>(x_NC), read<T>(gamma_C), channels};
        const T* dout = read<T>(dout_NC);
        const float* mean = read<float>(mean_N);
        const float* rstd = read<float>(rstd_N);
        T* dresidual = write<T>(dresidual_NC);
        float* dgamma = write<float>(dgamma_C);
        float* dbeta = write_if_defined<float>(dbeta_C);
        parallel_rows(rows, channels, [&](std::int64_t begin, std::int64_t end) {
            norm_backward_loop(input, dout, mean, rstd, dresidual, begin, end);
        });
        parallel_columns(rows, channels, [&](std::int64_t begin, std::int64_t end) {
            norm_weight_gradient_loop(input, dout, mean, rstd, rows, dgamma, dbeta, begin, end);
        });
    });
}

void NativeKernels::gelu_forward(const at::Tensor& x, at::Tensor& out) {
    by_element(x, [&](auto element) {
        using T = decltype(element);
        const T* from = read<T>(x);
        T* to = write<T>(out);
        parallel_elements(x.numel(), [=](std::int64_t begin, std::int64_t end) {
            gelu_forward_loop(from + begin, to + begin, end - begin);
        });
    });
}

void NativeKernels::gelu_backward(const at::Tensor& x, at::Tensor& dout) {
    by_element(x, [&](auto element) {
        using T = decltype(element);
        const T* from = read<T>(x);
        T* gradient = write<T>(dout);
        parallel_elements(x.numel(), [=](std::int64_t begin, std::int64_t end) {
            gelu_backward_loop(from + begin, gradient + begin, end - begin);
        });
    });
}

void NativeKernels::attention_forward(const at::Tensor& qkv_BTC3,
                                      std::int64_t head_count,
                                      const DropoutSite& dropout,
                                      AttentionMemory& memory) {
    aten_attention_forward(qkv_BTC3, head_count, dropout, memory);
}

void NativeKernels::attention_backward(const at::Tensor& dout_BTC,
                                       const at::Tensor& qkv_BTC3,
                                       std::int64_t head_count,
                                       const DropoutSite& dropout,
                                       const AttentionMemory& memory,
                                       at::Tensor& dqkv_BTC3) {
    aten_attention_backward(dout_BTC, qkv_BTC3, head_count, dropout, memory, dqkv_BTC3);
}

void NativeKernels::dropout_add(const at::Tensor& residual_NC,
                                const at::Tensor& branch_NC,
                                const DropoutSite& dropout,
                                at::Tensor& out_NC) {
    by_element(residual_NC, [&](auto element) {
        using T = decltype(element);
        const T* residual = read<T>(residual_NC);
        const T* branch = read<T>(branch_NC);
        T* out = write<T>(out_NC);
        const std::int64_t columns = out_NC.size(1);
        if (dropout.probability == 0.0) {
            parallel_elements(out_NC.numel(), [=](std::int64_t begin, std::int64_t end) {
                add_loop(residual + begin, branch + begin, out + begin, end - begin);
            });
            return;
        }
        const MaskSource source(dropout);
        parallel_rows(out_NC.size(0), columns, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                const std::int64_t at = row * columns;
                dropout_add_row_loop(source,
                                     activation_mask_row(dropout, row),
                                     residual + at,
                                     branch + at,
                                     out + at,
                                     columns);
            }
        });
    });
}

void NativeKernels::dropout_backward(const at::Tensor& dout_NC,
                                     const DropoutSite& dropout,
                                     at::Tensor& dbranch_NC) {
    by_element(dout_NC, [&](auto element) {
        using T = decltype(element);
        const T* dout = read<T>(dout_NC);
        T* dbranch = write<T>(dbranch_NC);
        const std::int64_t columns = dout_NC.size(1);
        const bool copies = dropout.probability == 0.0;
        const MaskSource source(dropout);
        parallel_rows(dout_NC.size(0), columns, [&](std::int64_t begin, std::int64_t end) {
            if (copies) {
                std::memcpy(dbranch + begin * columns,
                            dout + begin * columns,
                            static_cast<std::size_t>((end - begin) * columns) * sizeof(T));
                return;
            }
            for (std::int64_t row = begin; row < end; ++row) {
                const std::int64_t at = row * columns;
                dropout_row_loop(
                    source, activation_mask_row(dropout, row), dout + at, dbranch + at, columns);
            }
        });
    });
}

}  // namespace holdfast::kernels
