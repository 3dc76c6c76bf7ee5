#include "kernels/dropout_loops.h"

#include "kernels/mask_lanes.h"

namespace holdfast::kernels {
namespace {

template <typename T>
[[gnu::always_inline]] inline void dropout_add(const MaskSource& source,
                                               const MaskRow& row,
                                               const T* residual,
                                               const T* branch,
                                               T* out,
                                               std::int64_t columns) {
    for_masked_lanes(
        source,
        row,
        columns,
        [=](std::int64_t i, auto extent, Floats factor) __attribute__((always_inline)) {
            store(out + i, extent, load(residual + i, extent) + load(branch + i, extent) * factor);
        });
}

template <typename T>
[[gnu::always_inline]] inline void dropout(
    const MaskSource& source, const MaskRow& row, const T* values, T* out, std::int64_t columns) {
    for_masked_lanes(
        source,
        row,
        columns,
        [=](std::int64_t i, auto extent, Floats factor) __attribute__((always_inline)) {
            store(out + i, extent, load(values + i, extent) * factor);
        });
}

}  // namespace

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void dropout_factors_row_loop(
    const MaskSource& source, const MaskRow& row, float* factors, std::int64_t columns) {
    for_masked_lanes(
        source,
        row,
        columns,
        [=](std::int64_t i, auto extent, Floats factor)
            __attribute__((always_inline)) { store(factors + i, extent, factor); });
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void dropout_add_row_loop(
    const MaskSource& source,
    const MaskRow& row,
    const float* residual,
    const float* branch,
    float* out,
    std::int64_t columns) {
    dropout_add(source, row, residual, branch, out, columns);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void dropout_row_loop(
    const MaskSource& source,
    const MaskRow& row,
    const float* values,
    float* out,
    std::int64_t columns) {
    dropout(source, row, values, out, columns);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void dropout_add_row_loop(
    const MaskSource& source,
    const MaskRow& row,
    const Bf16Bits* residual,
    const Bf16Bits* branch,
    Bf16Bits* out,
    std::int64_t columns) {
    dropout_add(source, row, residual, branch, out, columns);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void dropout_row_loop(
    const MaskSource& source,
    const MaskRow& row,
    const Bf16Bits* values,
    Bf16Bits* out,
    std::int64_t columns) {
    dropout(source, row, values, out, columns);
}

}  // namespace holdfast::kernels
