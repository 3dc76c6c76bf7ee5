#include "model/sampler.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "base/philox.h"

namespace holdfast::model {

base::Status SamplerConfig::validate() const {
    if (!(temperature >= 0.0) || !std::isfinite(temperature)) {
        return base::Error{base::ErrorKind::kInvalid,
                           fmt::format("temperature is {}; it must be 0 or more", temperature),
                           0};
    }
    if (top_k < 0) {
        return base::Error{base::ErrorKind::kInvalid,
                           fmt::format("top_k is {}; it must be 0 (all) or more", top_k),
                           0};
    }
    if (!(top_p > 0.0 && top_p <= 1.0)) {
        return base::Error{base::ErrorKind::kInvalid,
                           fmt::format("top_p is {}; it must be above 0 and at most 1", top_p),
                           0};
    }
    return base::Status{};
}

Sampler::Sampler(const SamplerConfig& config) : config_(config) {
    HF_CHECK(config.validate().ok(), "a sampler of an invalid config");
}

std::int32_t Sampler::next(std::span<const float> logits, std::int64_t position) {
    HF_CHECK(!logits.empty(), "no logits");
    candidates_.clear();
    for (std::size_t i = 0; i < logits.size(); ++i) {
        candidates_.push_back({logits[i], static_cast<std::int32_t>(i)});
    }
    const auto likelier = [](const Candidate& a, const Candidate& b) {
        return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
    };
    if (config_.temperature == 0.0) {
        return std::min_element(candidates_.begin(), candidates_.end(), likelier)->token;
    }
    auto kept = static_cast<std::ptrdiff_t>(candidates_.size());
    if (config_.top_k > 0) {
        kept = std::min<std::ptrdiff_t>(kept, config_.top_k);
    }
    std::partial_sort(candidates_.begin(), candidates_.begin() + kept, candidates_.end(), likelier);
    candidates_.resize(static_cast<std::size_t>(kept));

    // exp((logit - highest) / temperature): the highest is first and its weight 1, so nothing
    // overflows.
    weights_.clear();
    double sum = 0.0;
    for (const Candidate& candidate : candidates_) {
        const double exponent = (static_cast<double>(candidate.logit) -
                                 static_cast<double>(candidates_.front().logit)) /
                                config_.temperature;
        weights_.push_back(std::exp(exponent));
        sum += weights_.back();
    }
    if (config_.top_p < 1.0) {
        double reached = 0.0;
        std::size_t count = 0;
        while (count < weights_.size() && reached < config_.top_p * sum) {
            reached += weights_[count++];
        }
        weights_.resize(count);
        sum = reached;
    }
    const auto index = static_cast<std::uint64_t>(position);
    const base::PhiloxBlock block = base::philox4x32(
        {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32U), 0, 0},
        base::stream_key(config_.seed, base::RandomStream::kSampling));
    const std::uint64_t bits = std::uint64_t{block[0]} << 21U ^ block[1];
    double left = static_cast<double>(bits & ((std::uint64_t{1} << 53U) - 1)) * 0x1.0p-53 * sum;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        left -= weights_[i];
        if (left < 0.0) {
            return candidates_[i].token;
        }
    }
    return candidates_[weights_.size() - 1].token;  // rounding left a crumb
}

}  // namespace holdfast::model
