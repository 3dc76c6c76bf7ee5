// The native AdamW loop: one pass over one stretch of memory. No torch, no threads.
#pragma once

#include <cstdint>

namespace holdfast::optim {

// Where the stretch lies; each points to its first element. `compute_copy` (bf16 bits) may be null.
struct AdamWStretch {
    float* master = nullptr;
    float* first_moment = nullptr;
    float* second_moment = nullptr;
    float* gradient = nullptr;
    std::uint16_t* compute_copy = nullptr;
    std::int64_t count = 0;
};

// The scalars of one update, rounded to fp32 once.
struct AdamWScalars {
    float gradient_factor = 1.0F;
    float keep = 1.0F;  // 1 - lr * weight_decay; 1 where nothing decays
    float one_minus_beta1 = 0.0F;
    float beta2 = 0.0F;
    float one_minus_beta2 = 0.0F;
    float step_size = 0.0F;         // lr / (1 - beta1^t)
    float sqrt_correction2 = 1.0F;  // sqrt(1 - beta2^t)
    float epsilon = 0.0F;
};

// Updates the stretch as adamw.h says; zeroes the gradient if asked, else leaves it as it is.
void adamw_update(const AdamWStretch& stretch, const AdamWScalars& scalars, bool zero_gradient);

// The bits of `value` rounded to bf16, nearest even; a NaN becomes the quiet NaN 0x7FC0, as torch
// writes it.
std::uint16_t bf16_bits(float value);

}  // namespace holdfast::optim
