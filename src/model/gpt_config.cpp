#include "model/gpt_config.h"

#include <fmt/format.h>

namespace holdfast::model {

namespace {

base::Error invalid(std::string what) {
    return base::Error{base::ErrorKind::kInvalid, std::move(what), 0};
}

}  // namespace

std::int64_t GptConfig::parameter_count() const {
    const std::int64_t c = n_embd;
    const std::int64_t matrices = 12 * c * c;
    const std::int64_t vectors = bias ? (3 + 1 + 4 + 1 + 4) * c : 2 * c;
    const std::int64_t final_norm = bias ? 2 * c : c;
    return vocab_size * c + block_size * c + n_layer * (matrices + vectors) + final_norm;
}

base::Status GptConfig::validate() const {
    if (n_layer < 1 || n_head < 1 || n_embd < 1 || block_size < 1) {
        return invalid(fmt::format(
            "model.n_layer {}, model.n_head {}, model.n_embd {} and model.block_size {} "
            "must all be at least 1",
            n_layer,
            n_head,
            n_embd,
            block_size));
    }
    if (n_embd % n_head != 0) {
        const std::int64_t below = n_embd / n_head * n_head;
        return invalid(
            fmt::format("model.n_head {} does not divide model.n_embd {}: each head needs a whole "
                        "number of channels (n_embd {} or {} would do)",
                        n_head,
                        n_embd,
                        below == 0 ? n_head : below,
                        below + n_head));
    }
    if (vocab_size < 1) {
        return invalid(fmt::format("model.vocab_size is {}; it must be at least 1", vocab_size));
    }
    for (const auto& [key, value] : {std::pair("model.dropout", dropout),
                                     std::pair("model.attention_dropout", attention_dropout)}) {
        if (!(value >= 0.0 && value < 1.0)) {
            return invalid(
                fmt::format("{} is {}; it is a probability, at least 0 and below 1", key, value));
        }
    }
    return base::Status{};
}

}  // namespace holdfast::model
