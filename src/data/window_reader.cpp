#include "data/window_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "data/batch_hash.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Status;

WindowReader::WindowReader(const TokenSet& set, std::int64_t window_tokens, std::int64_t vocab_size)
    : set_(&set), vocab_size_(vocab_size), window_(static_cast<std::size_t>(window_tokens) + 1) {
    HF_CHECK(window_tokens >= 1 && vocab_size >= 1,
             "windows of {} tokens below {}",
             window_tokens,
             vocab_size);
}

Status WindowReader::read(const WindowLocation& location) {
    const TokenShard& shard = set_->shards().at(static_cast<std::size_t>(location.shard));
    shard.copy(location.first_token, window_);
    // Maximum and minimum first, in vector code; a token of a 32-bit file may read as negative.
    std::int32_t highest = 0;
    std::int32_t lowest = 0;
    for (const std::int32_t token : window_) {
        highest = std::max(highest, token);
        lowest = std::min(lowest, token);
    }
    if (lowest >= 0 && highest < vocab_size_) {
        return Status{};
    }
    const auto bad = std::find_if(window_.begin(), window_.end(), [&](std::int32_t token) {
        return token < 0 || token >= vocab_size_;
    });
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{} has token {} at position {}; the vocabulary has {}: the file was "
                             "changed while the run used it, put the old data back and resume",
                             shard.path(),
                             static_cast<std::uint32_t>(*bad),
                             location.first_token + (bad - window_.begin()),
                             vocab_size_),
                 0};
}

std::span<const std::int32_t> WindowReader::tokens_T() const {
    return std::span(window_).first(window_.size() - 1);
}

std::span<const std::int32_t> WindowReader::targets_T() const {
    return std::span(window_).subspan(1);
}

std::uint64_t WindowReader::hash() const {
    return sequence_hash(window_);
}

}  // namespace holdfast::data
