// The unit of the gradient norm.
#pragma once

#include <cstdint>

namespace holdfast::optim {

// Elements of a block of the norm. Part of the numbers of a run: another value gives other bits.
inline constexpr std::int64_t kNormBlockElements = 1024;

}  // namespace holdfast::optim
