// From logits to the next token. The draw is a function of (seed, position): no history.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace holdfast::model {

struct SamplerConfig {
    double temperature = 0.8;  // 0: always the likeliest token
    std::int64_t top_k = 200;  // keep the k likeliest; 0: all
    double top_p = 1.0;        // keep the fewest likeliest whose probabilities reach p; 1: all
    std::uint64_t seed = 1337;

    // kInvalid with the key and the range when a value is out of it.
    [[nodiscard]] base::Status validate() const;
};

// Owns only scratch. One thread at a time.
class Sampler {
public:
    // `config` must validate.
    explicit Sampler(const SamplerConfig& config);
    // The token at `position` of the text (0-based, prompt included). Equal logits break towards
    // the lower token. Probabilities are computed in fp64, so equal logits give equal tokens on any
    // machine.
    std::int32_t next(std::span<const float> logits, std::int64_t position);

private:
    struct Candidate {
        float logit = 0.0F;
        std::int32_t token = 0;
    };
    SamplerConfig config_;
    std::vector<Candidate> candidates_;
    std::vector<double> weights_;
};

}  // namespace holdfast::model
