// From tensors to the pointers of loops, and loops over threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include "base/check.h"
#include "kernels/bf16_bits.h"

namespace holdfast::kernels {

// Calls f(float{}) for an fp32 tensor and f(Bf16Bits{}) for a bf16 one: the element type of its
// loops.
template <typename Function>
void by_element(const at::Tensor& tensor, const Function& f) {
    if (tensor.scalar_type() == at::kFloat) {
        f(float{});
    } else {
        HF_CHECK(tensor.scalar_type() == at::kBFloat16,
                 "a kernel was given {}",
                 c10::toString(tensor.scalar_type()));
        f(Bf16Bits{});
    }
}

template <typename T>
void check_memory(const at::Tensor& tensor) {
    const at::ScalarType expected = std::is_same_v<T, Bf16Bits>       ? at::kBFloat16
                                    : std::is_same_v<T, std::int32_t> ? at::kInt
                                    : std::is_same_v<T, double>       ? at::kDouble
                                                                      : at::kFloat;
    HF_CHECK(tensor.scalar_type() == expected && tensor.is_contiguous() && tensor.is_cpu(),
             "a kernel was given {}{}, expected contiguous {}",
             tensor.is_contiguous() ? "" : "strided ",
             c10::toString(tensor.scalar_type()),
             c10::toString(expected));
}

// The elements of a contiguous CPU tensor that has exactly this dtype.
template <typename T>
const T* read(const at::Tensor& tensor) {
    check_memory<T>(tensor);
    return static_cast<const T*>(tensor.const_data_ptr());
}
template <typename T>
T* write(const at::Tensor& tensor) {
    check_memory<T>(tensor);
    return static_cast<T*>(tensor.mutable_data_ptr());
}
// The same, or null for an undefined tensor.
template <typename T>
const T* read_if_defined(const at::Tensor& tensor) {
    return tensor.defined() ? read<T>(tensor) : nullptr;
}
template <typename T>
T* write_if_defined(const at::Tensor& tensor) {
    return tensor.defined() ? write<T>(tensor) : nullptr;
}

// A thread is worth waking for so many elements.
inline constexpr std::int64_t kElementsPerThread = 16384;
inline constexpr std::int64_t kColumnsPerTask = 64;

// f(begin, end) over [0, count) elements.
template <typename Function>
void parallel_elements(std::int64_t count, const Function& f) {
    at::parallel_for(0, count, kElementsPerThread, f);
}

// f(row_begin, row_end).
template <typename Function>
void parallel_rows(std::int64_t rows, std::int64_t columns, const Function& f) {
    at::parallel_for(0, rows, std::max<std::int64_t>(1, kElementsPerThread / columns), f);
}

// f(column_begin, column_end), cut at multiples of kColumnsPerTask.
template <typename Function>
void parallel_columns(std::int64_t rows, std::int64_t columns, const Function& f) {
    const std::int64_t tasks = (columns + kColumnsPerTask - 1) / kColumnsPerTask;
    const std::int64_t grain = std::max<std::int64_t>(
        1, kElementsPerThread / (std::max<std::int64_t>(rows, 1) * kColumnsPerTask));
    at::parallel_for(0, tasks, grain, [&](std::int64_t begin, std::int64_t end) {
        f(begin * kColumnsPerTask, std::min(end * kColumnsPerTask, columns));
    });
}

}  // namespace holdfast::kernels
