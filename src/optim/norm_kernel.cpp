#include "optim/norm_kernel.h"

#include <cstddef>

#include "optim/norm_block.h"

namespace holdfast::optim {

[[gnu::target_clones("default", "avx2", "avx512f")]] double block_squared_sum(const float* values) {
    constexpr std::size_t kSums = 32;
    double sums[kSums] = {};
    for (std::size_t i = 0; i < std::size_t{kNormBlockElements}; i += kSums) {
        for (std::size_t j = 0; j < kSums; ++j) {
            const double value = values[i + j];
            sums[j] += value * value;
        }
    }
    for (std::size_t half = kSums / 2; half > 0; half /= 2) {
        for (std::size_t j = 0; j < half; ++j) {
            sums[j] += sums[j + half];
        }
    }
    return sums[0];
}

}  // namespace holdfast::optim
