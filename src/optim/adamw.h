// AdamW on ranges of the arena, in one pass over memory.
//
// For an owned element with master weight p, moments m and v, gradient g, at update number t:
//
//   g <- g * clip factor
//   p <- p - lr * weight_decay * p                     where the element decays
//   m <- m + (1 - beta1) * (g - m)
//   v <- beta2 * v + (1 - beta2) * g^2
//   p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//
// in fp32, the scalars from fp64: the numbers of torch.optim.AdamW (Kingma and Ba,
// arXiv:1412.6980; Loshchilov and Hutter, arXiv:1711.05101). t counts applied updates, not steps: a
// step whose `bad` flag is set changes neither p, m, v, the compute copy nor t, and the host is not
// asked.
//
// Every element is computed on its own and without fused multiply-add, so the native bits depend
// neither on threads nor on how the arena is cut into ranges nor on the width of the machine's
// vectors. The ATen twin does the same mathematics with its own rounding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "optim/adamw_config.h"
#include "optim/clip.h"
#include "optim/element_range.h"

namespace holdfast::optim {

// What one update works on. All contiguous, of the arena's length, on the optimizer's device.
struct UpdateArenas {
    at::Tensor master;    // fp32: read and written in the owned ranges
    at::Tensor gradient;  // fp32: read; afterwards zero in the owned ranges if asked, else scratch
    at::Tensor compute_copy;  // bf16: owned ranges follow master (round to nearest even); undefined
                              // if there is none
};

enum class GradientAfter { kScratch, kZero };

// Owns m, v and the update count, for the owned ranges only. One thread at a time. update() does
// not wait for the device; on a CPU it is done when it returns.
class AdamW {
public:
    // `owned` and `decaying` are arena ranges in index order, without overlap. kNative needs a CPU
    // device. Moments and count start at zero.
    AdamW(const AdamWConfig& config,
          std::span<const ElementRange> owned,
          std::span<const ElementRange> decaying,
          at::Device device,
          Backend backend);

    // One update at `learning_rate`, clipped and guarded by `clip`. A bad step still zeroes the
    // gradient if asked: what made it bad must not reach the next accumulation.
    void update(const UpdateArenas& arenas,
                const ClipOutcome& clip,
                double learning_rate,
                GradientAfter gradient_after);

    // The state, to save it and, by writing into the tensors, to restore it.
    // m and v: fp32 [elements owned], the owned ranges one after another in index order; with the
    // whole arena owned, an index means the same element in all. count: int64 [] on the device.
    [[nodiscard]] const at::Tensor& first_moment() const { return first_moment_; }
    [[nodiscard]] const at::Tensor& second_moment() const { return second_moment_; }
    [[nodiscard]] const at::Tensor& update_count() const { return update_count_; }

    [[nodiscard]] const std::vector<ElementRange>& owned() const { return owned_; }

private:
    void update_native(const UpdateArenas& arenas,
                       const ClipOutcome& clip,
                       double learning_rate,
                       GradientAfter gradient_after);
    void update_aten(const UpdateArenas& arenas,
                     const ClipOutcome& clip,
                     double learning_rate,
                     GradientAfter gradient_after);

    AdamWConfig config_;
    Backend backend_;
    std::vector<ElementRange> owned_;
    std::vector<UpdateSpan> spans_;
    at::Tensor first_moment_;
    at::Tensor second_moment_;
    at::Tensor update_count_;
};

}  // namespace holdfast::optim
