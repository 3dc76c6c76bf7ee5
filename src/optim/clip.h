// The global gradient norm, the factor that clips it, and the flag of a bad step.
//
// The sum of squares is taken in blocks of kNormBlockElements: inside a block in fp64 in one fixed
// order, then the block sums in index order in fp64. A block is always whole, so its sum does not
// depend on threads or on which rank computed it, and the norm does not depend on how the arena is
// owned. Padding of the arena is zero in the gradient and adds nothing. (kAten leaves the order
// inside a block to torch, which keeps to one order for ranges of 16 blocks and more.)
//
// The squares cannot overflow: an fp32 squared is exact in fp64. So the norm is finite exactly when
// every gradient is.
#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

#include "optim/element_range.h"
#include "optim/norm_block.h"

namespace holdfast::optim {

// Which code computes: our CPU kernel, or ATen operations that run on any device.
enum class Backend { kNative, kAten };

// kNative on a CPU, else kAten.
Backend backend_for(at::Device device);

// What the norm led to; scalars on the device, valid after GradientClip::finish() until the next.
// The optimizer reads factor and bad there; the host may read them a step later.
struct ClipOutcome {
    at::Tensor norm;    // fp64 []: before clipping
    at::Tensor factor;  // fp32 []: min(1, max_norm / (norm + 1e-6)), as torch's clip_grad_norm_
    at::Tensor bad;     // fp32 []: 1 if the norm or the loss is not finite, else 0
};

// Owns the block sums and the outcome; makes them once. One thread at a time; nothing here waits
// for the device.
//
// A step is: measure() the ranges this rank owns; with several ranks, sum block_sums() over the
// ranks (each block is nonzero on one rank only, so the order of that sum does not matter);
// finish().
class GradientClip {
public:
    // `arena_elements` is a multiple of kNormBlockElements. kNative needs a CPU device.
    GradientClip(std::int64_t arena_elements, at::Device device, Backend backend);

    // Sets the block sums of `ranges` from `gradient` (fp32 [arena_elements], contiguous) and all
    // others to zero. Range edges are multiples of kNormBlockElements.
    void measure(const at::Tensor& gradient, std::span<const ElementRange> ranges);

    // fp64 [arena_elements / kNormBlockElements].
    [[nodiscard]] const at::Tensor& block_sums() const { return block_sums_; }

    // Norm, factor and flag from the block sums. `loss` is a floating-point scalar on the device,
    // or undefined: then only the norm decides. `max_norm` 0 leaves the factor at 1. The factor of
    // a bad step is 1.
    void finish(const at::Tensor& loss, double max_norm);

    [[nodiscard]] const ClipOutcome& outcome() const { return outcome_; }

private:
    void finish_native(const at::Tensor& loss, double max_norm);
    void finish_aten(const at::Tensor& loss, double max_norm);

    Backend backend_;
    at::Tensor block_sums_;
    ClipOutcome outcome_;
};

}  // namespace holdfast::optim
