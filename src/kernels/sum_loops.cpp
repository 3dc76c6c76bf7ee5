#include "kernels/sum_loops.h"

#include <algorithm>

#include "kernels/vector_lanes.h"

namespace holdfast::kernels {
namespace {

constexpr std::int64_t kBlockRows = 64;

template <typename T>
[[gnu::always_inline]] inline void add(const T* a, const T* b, T* out, std::int64_t count) {
    for_lanes(
        count, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
            store(out + i, extent, load(a + i, extent) + load(b + i, extent));
        });
}

// Four vectors of columns side by side read whole cache lines of a row.
template <typename T>
[[gnu::always_inline]] inline void column_sums(const T* values,
                                               std::int64_t rows,
                                               std::int64_t columns,
                                               float* sums,
                                               std::int64_t column_begin,
                                               std::int64_t column_end) {
    constexpr std::int64_t kWide = 4;
    std::int64_t column = column_begin;
    for (; column + kWide * kLanes <= column_end; column += kWide * kLanes) {
        Floats total[kWide] = {};
        for (std::int64_t first = 0; first < rows; first += kBlockRows) {
            Floats block[kWide] = {};
            const std::int64_t last = std::min(first + kBlockRows, rows);
            for (std::int64_t row = first; row < last; ++row) {
                for (std::int64_t k = 0; k < kWide; ++k) {
                    block[k] += load(values + row * columns + column + k * kLanes);
                }
            }
            for (std::int64_t k = 0; k < kWide; ++k) {
                total[k] += block[k];
            }
        }
        for (std::int64_t k = 0; k < kWide; ++k) {
            float* to = sums + column + k * kLanes;
            store(to, load(to) + total[k]);
        }
    }
    for_lanes(
        column_end - column, [&](std::int64_t i, auto extent) __attribute__((always_inline)) {
            Floats total = {};
            for (std::int64_t first = 0; first < rows; first += kBlockRows) {
                Floats block = {};
                const std::int64_t last = std::min(first + kBlockRows, rows);
                for (std::int64_t row = first; row < last; ++row) {
                    block += load(values + row * columns + column + i, extent);
                }
                total += block;
            }
            store(sums + column + i, extent, load(sums + column + i, extent) + total);
        });
}

}  // namespace

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void accumulate_loop(
    const Bf16Bits* addend, float* sum, std::int64_t count) {
    for_lanes(
        count, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
            store(sum + i, extent, load(sum + i, extent) + load(addend + i, extent));
        });
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void cast_loop(
    const float* from, Bf16Bits* to, std::int64_t count) {
    for_lanes(
        count, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
            store(to + i, extent, load(from + i, extent));
        });
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void add_loop(
    const float* a, const float* b, float* out, std::int64_t count) {
    add(a, b, out, count);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void column_sums_loop(
    const float* values,
    std::int64_t rows,
    std::int64_t columns,
    float* sums,
    std::int64_t column_begin,
    std::int64_t column_end) {
    column_sums(values, rows, columns, sums, column_begin, column_end);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void add_loop(
    const Bf16Bits* a, const Bf16Bits* b, Bf16Bits* out, std::int64_t count) {
    add(a, b, out, count);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void column_sums_loop(
    const Bf16Bits* values,
    std::int64_t rows,
    std::int64_t columns,
    float* sums,
    std::int64_t column_begin,
    std::int64_t column_end) {
    column_sums(values, rows, columns, sums, column_begin, column_end);
}

}  // namespace holdfast::kernels
