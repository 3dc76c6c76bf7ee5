#include "optim/adamw.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "base/check.h"
#include "optim/adamw_kernel.h"

namespace holdfast::optim {
namespace {

// Elements a thread takes at least: below this the start of a thread costs more than the work.
constexpr std::int64_t kGrainElements = 16384;

base::Error invalid(std::string_view key, double value, std::string_view range) {
    return {base::ErrorKind::kInvalid,
            fmt::format("optimizer.{} is {}; it must be {}", key, value, range),
            0};
}

void check_arenas(const UpdateArenas& arenas, std::int64_t elements_min) {
    const auto fits = [&](const at::Tensor& tensor, at::ScalarType type) {
        return tensor.scalar_type() == type && tensor.dim() == 1 && tensor.is_contiguous() &&
               tensor.numel() >= elements_min;
    };
    HF_CHECK(fits(arenas.master, at::kFloat), "the master weights are not a flat fp32 arena");
    HF_CHECK(fits(arenas.gradient, at::kFloat), "the gradient is not a flat fp32 arena");
    HF_CHECK(!arenas.compute_copy.defined() || fits(arenas.compute_copy, at::kBFloat16),
             "the compute copy is not a flat bf16 arena");
}

void zero_owned(const at::Tensor& gradient, const std::vector<ElementRange>& owned) {
    for (const ElementRange& range : owned) {
        gradient.narrow(0, range.begin, range.size()).zero_();
    }
}

AdamWScalars scalars_of_update(const AdamWConfig& config,
                               double learning_rate,
                               float gradient_factor,
                               std::int64_t count) {
    const auto t = static_cast<double>(count);
    AdamWScalars scalars;
    scalars.gradient_factor = gradient_factor;
    scalars.one_minus_beta1 = static_cast<float>(1.0 - config.beta1);
    scalars.beta2 = static_cast<float>(config.beta2);
    scalars.one_minus_beta2 = static_cast<float>(1.0 - config.beta2);
    scalars.step_size = static_cast<float>(learning_rate / (1.0 - std::pow(config.beta1, t)));
    scalars.sqrt_correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(config.beta2, t)));
    scalars.epsilon = static_cast<float>(config.epsilon);
    return scalars;
}

}  // namespace

base::Status AdamWConfig::validate() const {
    const auto not_negative = [](double value) { return std::isfinite(value) && value >= 0.0; };
    const auto below_one = [](double value) { return value >= 0.0 && value < 1.0; };
    if (!(std::isfinite(learning_rate) && learning_rate > 0.0)) {
        return invalid("learning_rate", learning_rate, "above 0, such as 6e-4");
    }
    if (!not_negative(weight_decay)) {
        return invalid("weight_decay", weight_decay, "0 or more, such as 0.1");
    }
    if (!below_one(beta1)) {
        return invalid("beta1", beta1, "at least 0 and below 1, such as 0.9");
    }
    if (!below_one(beta2)) {
        return invalid("beta2", beta2, "at least 0 and below 1, such as 0.95");
    }
    if (!(std::isfinite(epsilon) && epsilon > 0.0)) {
        return invalid("epsilon", epsilon, "above 0, such as 1e-8");
    }
    if (!not_negative(grad_clip)) {
        return invalid("grad_clip", grad_clip, "0 (off) or more, such as 1.0");
    }
    return {};
}

AdamW::AdamW(const AdamWConfig& config,
             std::span<const ElementRange> owned,
             std::span<const ElementRange> decaying,
             at::Device device,
             Backend backend)
    : config_(config),
      backend_(backend),
      owned_(owned.begin(), owned.end()),
      spans_(cut_into_spans(owned, decaying)) {
    HF_CHECK(backend == Backend::kAten || device.is_cpu(), "the native kernel runs on a CPU only");
    const auto fp32 = at::TensorOptions(device).dtype(at::kFloat);
    first_moment_ = at::zeros({element_count(owned_)}, fp32);
    second_moment_ = at::zeros({element_count(owned_)}, fp32);
    update_count_ = at::zeros({}, fp32.dtype(at::kLong));
}

void AdamW::update(const UpdateArenas& arenas,
                   const ClipOutcome& clip,
                   double learning_rate,
                   GradientAfter gradient_after) {
    check_arenas(arenas, owned_.empty() ? 0 : owned_.back().end);
    const c10::InferenceMode inference;
    if (backend_ == Backend::kNative) {
        update_native(arenas, clip, learning_rate, gradient_after);
    } else {
        update_aten(arenas, clip, learning_rate, gradient_after);
    }
}

void AdamW::update_native(const UpdateArenas& arenas,
                          const ClipOutcome& clip,
                          double learning_rate,
                          GradientAfter gradient_after) {
    if (*clip.bad.const_data_ptr<float>() != 0.0F) {
        if (gradient_after == GradientAfter::kZero) {
            zero_owned(arenas.gradient, owned_);
        }
        return;
    }
    auto* count = update_count_.mutable_data_ptr<std::int64_t>();
    *count += 1;
    const AdamWScalars scalars =
        scalars_of_update(config_, learning_rate, *clip.factor.const_data_ptr<float>(), *count);
    const auto keep = static_cast<float>(1.0 - learning_rate * config_.weight_decay);

    const AdamWStretch whole = {
        arenas.master.mutable_data_ptr<float>(),
        first_moment_.mutable_data_ptr<float>(),
        second_moment_.mutable_data_ptr<float>(),
        arenas.gradient.mutable_data_ptr<float>(),
        arenas.compute_copy.defined()
            ? static_cast<std::uint16_t*>(arenas.compute_copy.mutable_data_ptr())
            : nullptr,
        first_moment_.numel()};
    // Threads share the owned elements evenly, whatever the spans are.
    at::parallel_for(0, whole.count, kGrainElements, [&](std::int64_t begin, std::int64_t end) {
        auto span = std::upper_bound(
            spans_.begin(), spans_.end(), begin, [](std::int64_t at, const UpdateSpan& later) {
                return at < later.moment_begin;
            });
        for (--span; span != spans_.end() && span->moment_begin < end; ++span) {
            const std::int64_t from = std::max(begin, span->moment_begin);
            const std::int64_t to = std::min(end, span->moment_begin + span->count);
            const std::int64_t at = span->begin + (from - span->moment_begin);
            AdamWScalars scalars_of_span = scalars;
            scalars_of_span.keep = span->decays ? keep : 1.0F;
            adamw_update({whole.master + at,
                          whole.first_moment + from,
                          whole.second_moment + from,
                          whole.gradient + at,
                          whole.compute_copy == nullptr ? nullptr : whole.compute_copy + at,
                          to - from},
                         scalars_of_span,
                         gradient_after == GradientAfter::kZero);
        }
    });
}

// torch's fused kernel skips everything when `bad` is 1, and divides the gradient by its scale.
void AdamW::update_aten(const UpdateArenas& arenas,
                        const ClipOutcome& clip,
                        double learning_rate,
                        GradientAfter gradient_after) {
    update_count_.add_(clip.bad.neg().add_(1).to(at::kLong));
    const at::Tensor count = update_count_.to(at::kFloat);
    const at::Tensor gradient_scale = clip.factor.reciprocal();
    for (const bool decays : {true, false}) {
        std::vector<at::Tensor> master;
        std::vector<at::Tensor> gradient;
        std::vector<at::Tensor> first;
        std::vector<at::Tensor> second;
        for (const UpdateSpan& span : spans_) {
            if (span.decays == decays) {
                master.push_back(arenas.master.narrow(0, span.begin, span.count));
                gradient.push_back(arenas.gradient.narrow(0, span.begin, span.count));
                first.push_back(first_moment_.narrow(0, span.moment_begin, span.count));
                second.push_back(second_moment_.narrow(0, span.moment_begin, span.count));
            }
        }
        if (master.empty()) {
            continue;
        }
        const std::vector<at::Tensor> counts(master.size(), count);
        at::_fused_adamw_(master,
                          gradient,
                          first,
                          second,
                          {},
                          counts,
                          learning_rate,
                          config_.beta1,
                          config_.beta2,
                          decays ? config_.weight_decay : 0.0,
                          config_.epsilon,
                          false,
                          false,
                          gradient_scale,
                          clip.bad);
    }
    for (const ElementRange& range : owned_) {
        if (arenas.compute_copy.defined()) {
            // After a bad step this writes what is there already.
            arenas.compute_copy.narrow(0, range.begin, range.size())
                .copy_(arenas.master.narrow(0, range.begin, range.size()));
        }
    }
    if (gradient_after == GradientAfter::kZero) {
        zero_owned(arenas.gradient, owned_);
    }
}

}  // namespace holdfast::optim
