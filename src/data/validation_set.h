// A validation set: non-overlapping windows in file order, cut into fixed evaluation units.
//
// The windows are those of WindowMap, 0, 1, 2, ... in order, no shuffling. eval_tokens limits them
// to the first ceil(eval_tokens / T); 0 takes all. Unit e holds windows [e*U, e*U + U), the last
// one maybe fewer. Units are what ranks share (unit e on rank e mod n) and what losses are summed
// in, so T, U and the limit are all that decides the bits of val_loss.
//
// Borrows the TokenSet, which must outlive it and stay where it is. Const after make(); read_unit()
// may be called by any thread with its own buffer. Blocking: read_unit() may wait for the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "data/token_set.h"
#include "data/window_map.h"

namespace holdfast::data {

struct ValidationOptions {
    std::int64_t window_tokens = 0;   // T: the model's block_size
    std::int64_t eval_tokens = 0;     // rounded up to whole windows; 0: all
    std::int64_t unit_sequences = 0;  // U, at least 1; stored with the run
    std::int64_t vocab_size = 0;      // a token beyond it is an error: the file has changed
};

// Legend: S = sequences of this unit, T = window tokens. The vectors keep their capacity between
// reads.
struct EvaluationUnit {
    std::int64_t sequences = 0;  // S <= U
    std::vector<std::int32_t> tokens_ST;
    std::vector<std::int32_t> targets_ST;
};

class ValidationSet {
public:
    // kInvalid when there is no window in the set.
    static base::Result<ValidationSet> make(const TokenSet& set, const ValidationOptions& options);

    [[nodiscard]] std::int64_t window_count() const { return window_count_; }  // with the limit
    [[nodiscard]] std::int64_t unit_count() const;
    // Targets that a whole evaluation scores: window_count() * T.
    [[nodiscard]] std::int64_t target_count() const;
    [[nodiscard]] const TokenSet& token_set() const { return *set_; }

    // Unit e in [0, unit_count()) into `unit`. kCorrupt when a token is not below vocab_size.
    [[nodiscard]] base::Status read_unit(std::int64_t e, EvaluationUnit& unit) const;

    // Mean nats a token to bits per byte of text, by the mean bytes a token of the whole set: end
    // marks count as tokens of no bytes. Nothing when the bytes are not known (no sidecar).
    [[nodiscard]] std::optional<double> bits_per_byte(double nats_per_token) const;

    // Names what is evaluated, so that a best loss is compared only with its own kind: XXH3-64 over
    // the set's fingerprint, T and the window count, each 8 bytes little-endian.
    [[nodiscard]] std::uint64_t fingerprint() const;

private:
    ValidationSet(const TokenSet& set, WindowMap windows, const ValidationOptions& options);

    const TokenSet* set_;
    WindowMap windows_;
    ValidationOptions options_;
    std::int64_t window_count_;
};

}  // namespace holdfast::data
