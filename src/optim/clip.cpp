#include "optim/clip.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "base/check.h"
#include "optim/norm_kernel.h"

namespace holdfast::optim {
namespace {

// What torch.nn.utils.clip_grad_norm_ adds to the norm before it divides.
constexpr double kClipEpsilon = 1e-6;

// Blocks a thread takes at least: 256 KiB of gradient.
constexpr std::int64_t kGrainBlocks = 64;

bool scalar_is_finite(const at::Tensor& loss) {
    return !loss.defined() || std::isfinite(loss.item<double>());
}

}  // namespace

Backend backend_for(at::Device device) {
    return device.is_cpu() ? Backend::kNative : Backend::kAten;
}

GradientClip::GradientClip(std::int64_t arena_elements, at::Device device, Backend backend)
    : backend_(backend) {
    HF_CHECK(arena_elements > 0 && arena_elements % kNormBlockElements == 0,
             "an arena of {} elements is not whole blocks of {}",
             arena_elements,
             kNormBlockElements);
    HF_CHECK(backend == Backend::kAten || device.is_cpu(), "the native kernel runs on a CPU only");
    const auto fp64 = at::TensorOptions(device).dtype(at::kDouble);
    const auto fp32 = at::TensorOptions(device).dtype(at::kFloat);
    block_sums_ = at::zeros({arena_elements / kNormBlockElements}, fp64);
    outcome_ = {at::zeros({}, fp64), at::ones({}, fp32), at::zeros({}, fp32)};
}

void GradientClip::measure(const at::Tensor& gradient, std::span<const ElementRange> ranges) {
    HF_CHECK(gradient.scalar_type() == at::kFloat && gradient.is_contiguous() &&
                 gradient.numel() == block_sums_.numel() * kNormBlockElements,
             "a gradient of {} elements for {} blocks",
             gradient.numel(),
             block_sums_.numel());
    const c10::InferenceMode inference;
    block_sums_.zero_();
    for (const ElementRange& range : ranges) {
        HF_CHECK(range.begin % kNormBlockElements == 0 && range.end % kNormBlockElements == 0,
                 "range [{}, {}) cuts a block",
                 range.begin,
                 range.end);
        const std::int64_t first_block = range.begin / kNormBlockElements;
        const std::int64_t blocks = range.size() / kNormBlockElements;
        if (backend_ == Backend::kNative) {
            const float* values = gradient.const_data_ptr<float>();
            double* sums = block_sums_.mutable_data_ptr<double>();
            at::parallel_for(first_block,
                             first_block + blocks,
                             kGrainBlocks,
                             [&](std::int64_t begin, std::int64_t end) {
                                 for (std::int64_t block = begin; block < end; ++block) {
                                     sums[block] =
                                         block_squared_sum(values + block * kNormBlockElements);
                                 }
                             });
        } else {
            at::Tensor sums = block_sums_.narrow(0, first_block, blocks);
            const at::Tensor rows =
                gradient.narrow(0, range.begin, range.size()).view({blocks, kNormBlockElements});
            at::linalg_vector_norm_out(sums, rows, 2, {1}, false, at::kDouble);
            sums.mul_(sums);
        }
    }
}

void GradientClip::finish(const at::Tensor& loss, double max_norm) {
    const c10::InferenceMode inference;
    if (backend_ == Backend::kNative) {
        finish_native(loss, max_norm);
    } else {
        finish_aten(loss, max_norm);
    }
}

void GradientClip::finish_native(const at::Tensor& loss, double max_norm) {
    const double* sums = block_sums_.const_data_ptr<double>();
    double total = 0.0;
    for (std::int64_t block = 0; block < block_sums_.numel(); ++block) {
        total += sums[block];
    }
    const double norm = std::sqrt(total);
    const bool bad = !std::isfinite(norm) || !scalar_is_finite(loss);
    const bool clips = !bad && max_norm > 0.0;
    const double factor = clips ? std::min(1.0, max_norm / (norm + kClipEpsilon)) : 1.0;
    *outcome_.norm.mutable_data_ptr<double>() = norm;
    *outcome_.factor.mutable_data_ptr<float>() = static_cast<float>(factor);
    *outcome_.bad.mutable_data_ptr<float>() = bad ? 1.0F : 0.0F;
}

void GradientClip::finish_aten(const at::Tensor& loss, double max_norm) {
    at::sum_out(outcome_.norm, block_sums_, at::IntArrayRef{0});
    outcome_.norm.sqrt_();
    at::Tensor good = outcome_.norm.isfinite();
    if (loss.defined()) {
        good = good.logical_and(loss.isfinite());
    }
    outcome_.bad.copy_(good.logical_not());
    if (max_norm > 0.0) {
        const at::Tensor factor =
            outcome_.norm.add(kClipEpsilon).reciprocal_().mul_(max_norm).clamp_max_(1.0);
        outcome_.factor.copy_(at::where(good, factor, 1.0));
    } else {
        outcome_.factor.fill_(1.0);
    }
}

}  // namespace holdfast::optim
