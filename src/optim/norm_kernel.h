// The native sum of squares of one block of the norm. No torch, no threads.
#pragma once

namespace holdfast::optim {

// Sum of the squares of the kNormBlockElements values at `values`, in fp64: 32 running sums over
// every 32nd element, then added pairwise. A square of an fp32 is exact in fp64, so the bits are
// the same with and without fused multiply-add, on every machine.
double block_squared_sum(const float* values);

}  // namespace holdfast::optim
