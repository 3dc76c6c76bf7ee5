// What the optimizer holds in device memory, beside the master weights, gradients and compute copy
// (the arena's own).
#pragma once

#include <cstdint>

namespace holdfast::optim {

// Bytes of
//   m and v:      2 * 4 * owned_elements
//   block sums:   8 * arena_elements / kNormBlockElements
//   scalars:      norm, factor, bad flag, update count
// A rank that owns all has owned_elements == arena_elements, padding included.
std::int64_t bytes_needed(std::int64_t arena_elements, std::int64_t owned_elements);

}  // namespace holdfast::optim
