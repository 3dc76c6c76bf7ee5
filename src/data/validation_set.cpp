#include "data/validation_set.h"

#include <algorithm>
#include <array>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "base/checksum.h"
#include "data/window_reader.h"

namespace holdfast::data {

using base::Result;
using base::Status;

Result<ValidationSet> ValidationSet::make(const TokenSet& set, const ValidationOptions& options) {
    HF_CHECK(options.eval_tokens >= 0 && options.unit_sequences >= 1 && options.vocab_size >= 1,
             "a validation set of {} tokens in units of {}, vocabulary {}",
             options.eval_tokens,
             options.unit_sequences,
             options.vocab_size);
    Result<WindowMap> windows = WindowMap::make(set, options.window_tokens);
    if (!windows.ok()) {
        return windows.error();
    }
    return ValidationSet(set, std::move(windows).value(), options);
}

ValidationSet::ValidationSet(const TokenSet& set,
                             WindowMap windows,
                             const ValidationOptions& options)
    : set_(&set),
      windows_(std::move(windows)),
      options_(options),
      window_count_(windows_.window_count()) {
    if (options.eval_tokens > 0) {
        const std::int64_t wanted = (options.eval_tokens - 1) / options.window_tokens + 1;
        window_count_ = std::min(window_count_, wanted);
    }
}

std::int64_t ValidationSet::unit_count() const {
    return (window_count_ - 1) / options_.unit_sequences + 1;
}

std::int64_t ValidationSet::target_count() const {
    return window_count_ * options_.window_tokens;
}

Status ValidationSet::read_unit(std::int64_t e, EvaluationUnit& unit) const {
    HF_CHECK(e >= 0 && e < unit_count(), "unit {} of {}", e, unit_count());
    const std::int64_t first = e * options_.unit_sequences;
    unit.sequences = std::min(options_.unit_sequences, window_count_ - first);
    const auto tokens = static_cast<std::size_t>(unit.sequences * options_.window_tokens);
    unit.tokens_ST.resize(tokens);
    unit.targets_ST.resize(tokens);
    WindowReader reader(*set_, options_.window_tokens, options_.vocab_size);
    for (std::int64_t s = 0; s < unit.sequences; ++s) {
        Status read = reader.read(windows_.locate(first + s));
        if (!read.ok()) {
            return read;
        }
        const std::ptrdiff_t row = s * options_.window_tokens;
        std::copy(reader.tokens_T().begin(), reader.tokens_T().end(), unit.tokens_ST.begin() + row);
        std::copy(
            reader.targets_T().begin(), reader.targets_T().end(), unit.targets_ST.begin() + row);
    }
    return Status{};
}

std::optional<double> ValidationSet::bits_per_byte(double nats_per_token) const {
    const std::optional<std::int64_t> text_bytes = set_->text_bytes();
    if (!text_bytes.has_value() || *text_bytes == 0) {
        return std::nullopt;
    }
    const double tokens_per_byte =
        static_cast<double>(set_->token_count()) / static_cast<double>(*text_bytes);
    return nats_per_token / std::numbers::ln2 * tokens_per_byte;
}

std::uint64_t ValidationSet::fingerprint() const {
    const std::array<std::uint64_t, 3> parts = {set_->fingerprint(),
                                                static_cast<std::uint64_t>(options_.window_tokens),
                                                static_cast<std::uint64_t>(window_count_)};
    return base::checksum64(std::as_bytes(std::span(parts)));
}

}  // namespace holdfast::data
