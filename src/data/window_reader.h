// One window out of a token set into a batch: read, checked, hashed and laid out as inputs and
// targets. What the batch loader and the validation set share.
//
// Holds a buffer of one window, so one thread at a time. Borrows the TokenSet. Blocking: read() may
// wait for the disk.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "data/token_set.h"
#include "data/window_map.h"

namespace holdfast::data {

class WindowReader {
public:
    // `vocab_size` at least 1: what the model was built for.
    WindowReader(const TokenSet& set, std::int64_t window_tokens, std::int64_t vocab_size);

    // Reads the T + 1 tokens at `location`. kCorrupt when one is not below vocab_size: the file has
    // passed check_tokens(), so it was changed under the run.
    [[nodiscard]] base::Status read(const WindowLocation& location);

    // Of the window read last: its T inputs, its T targets (one to the right), its sequence_hash().
    [[nodiscard]] std::span<const std::int32_t> tokens_T() const;
    [[nodiscard]] std::span<const std::int32_t> targets_T() const;
    [[nodiscard]] std::uint64_t hash() const;

private:
    const TokenSet* set_;
    std::int64_t vocab_size_;
    std::vector<std::int32_t> window_;  // T + 1
};

}  // namespace holdfast::data
