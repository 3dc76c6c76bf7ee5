// Text from a trained model, one token at a time, with the keys and values of what was read kept.
//
// The logits are those of the training forward on the same context, up to the rounding of other
// matrix shapes (fp32: about 1e-5 relative; bf16: about 2e-2).
//
// Context: the model sees at most block_size tokens. When they are full, the newest block_size / 2
// tokens are read again from position 0, and writing goes on from there.
// Thread use: one thread at a time. Blocking: every call waits for the device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/gpt.h"
#include "model/sampler.h"

namespace holdfast::model {

class Generation {
public:
    // `gpt` must outlive this object and is not used by others meanwhile. Allocates the cache:
    // 2 * n_layer * block_size * n_embd numbers of the compute dtype.
    explicit Generation(Gpt& gpt);
    ~Generation();
    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;
    Generation(Generation&&) = delete;
    Generation& operator=(Generation&&) = delete;

    // Forgets everything, then reads `prompt` (at least one token; of a longer one than block_size
    // the newest tokens, as above). The logits after its last token, vocab_size long, valid until
    // the next call. kInvalid: the prompt is empty or a token is outside the vocabulary.
    base::Result<std::span<const float>> start(std::span<const std::int32_t> prompt);
    // Reads one more token; needs start() before.
    base::Result<std::span<const float>> append(std::int32_t token);

    // start(prompt), then up to `token_count_max` draws; `on_token` sees each new token as it
    // comes and ends the text by returning false. Stops after `stop_token` (-1: none), which is
    // part of the result. Returns the new tokens.
    base::Result<std::vector<std::int32_t>> generate(
        std::span<const std::int32_t> prompt,
        std::int64_t token_count_max,
        const SamplerConfig& sampler,
        std::int32_t stop_token,
        const std::function<bool(std::int32_t token)>& on_token = {});

private:
    struct State;
    base::Status check_tokens(std::span<const std::int32_t> tokens) const;
    std::span<const float> read(std::span<const std::int32_t> tokens, std::int64_t position);

    Gpt& gpt_;
    std::unique_ptr<State> state_;
    std::vector<std::int32_t> window_;  // the tokens whose keys and values are in the cache
    std::vector<float> logits_;
};

}  // namespace holdfast::model
