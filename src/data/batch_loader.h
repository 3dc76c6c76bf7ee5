// The batch loader: the only place where the cursor moves.
//
// The global batch of a step is the `sequences` windows that follow the cursor. When an epoch ends
// inside it, the rest comes from the start of the next epoch, so every window is met exactly once
// an epoch and no batch is short (a batch larger than an epoch goes round several times). One
// thread prepares batches ahead in a ring of reused buffers; what it prepared is of no consequence
// until it is consumed:
//
//   while (...) {
//       Result<const Batch*> batch = loader.next(should_stop);  // the batch at cursor()
//       ... train on it ...
//       loader.consume();                                       // cursor() moves behind it
//   }
//
// A step that is abandoned is simply not consumed; a save stores cursor().
//
// Owns: the thread (joined by the destructor), the ring. Borrows the TokenSet, which must outlive
// it and stay where it is.
//
// Thread use: one consumer thread. Blocking: next() waits for the disk, in slices of
// kWaitSliceSeconds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "data/cursor.h"
#include "data/sample_map.h"
#include "data/token_set.h"

namespace holdfast::data {

// The sequences of the global batch that one rank computes on: [first, first + count).
struct BatchSlice {
    std::int64_t first = 0;
    std::int64_t count = 0;
};

struct BatchLoaderOptions {
    std::uint64_t seed = 0;
    std::int64_t sequences = 0;         // N of the global batch
    BatchSlice slice;                   // count 0: the whole batch
    std::int64_t vocab_size = 0;        // a token beyond it is an error: the file has changed
    std::int64_t prefetch_batches = 2;  // ready ahead of the consumer; 0: no thread
};

// Legend: S = slice.count sequences, T = window tokens, N = sequences of the global batch.
struct Batch {
    BatchSlice slice;                            // which sequences tokens and targets hold
    std::int64_t window_tokens = 0;              // T
    std::vector<std::int32_t> tokens_ST;         // row-major
    std::vector<std::int32_t> targets_ST;        // the token to the right of each
    std::vector<std::uint64_t> sequence_hashes;  // N: of the whole global batch, on every rank
    std::uint64_t batch_hash = 0;                // equal on every rank
    Cursor begin;                                // of the first sequence of the global batch
    Cursor end;                                  // after the last: cursor() once consumed
    std::int64_t first_global_sample = 0;        // windows consumed before it since the run began
};

class BatchLoader {
public:
    // Starts at `cursor` (of a new run: {0, 0}), at once preparing batches. kInvalid when the
    // cursor is not inside an epoch of this data (other data or another block_size than it was
    // counted in).
    static base::Result<std::unique_ptr<BatchLoader>> open(const TokenSet& set,
                                                           WindowMap windows,
                                                           const BatchLoaderOptions& options,
                                                           const Cursor& cursor);
    ~BatchLoader();
    BatchLoader(const BatchLoader&) = delete;
    BatchLoader& operator=(const BatchLoader&) = delete;
    BatchLoader(BatchLoader&&) = delete;
    BatchLoader& operator=(BatchLoader&&) = delete;

    // The batch at cursor(); the same one until consume(). Valid until consume() or the destructor.
    // While it is not ready, `should_stop` (may be empty) is asked every kWaitSliceSeconds; when it
    // says true: nullptr, and nothing has changed. kCorrupt when a token is not below vocab_size;
    // an error stays: every later call returns it.
    [[nodiscard]] base::Result<const Batch*> next(const std::function<bool()>& should_stop = {});

    // The batch that next() returned is done: cursor() moves behind it and its buffer is reused.
    void consume();

    // What has been consumed: what a checkpoint stores.
    [[nodiscard]] const Cursor& cursor() const;
    [[nodiscard]] const SampleMap& samples() const;
    // Seconds next() has waited for data so far.
    [[nodiscard]] double waited_seconds() const;

    // Host memory of the ring for these settings.
    static std::int64_t bytes_needed(const BatchLoaderOptions& options, std::int64_t window_tokens);

    static constexpr double kWaitSliceSeconds = 0.02;

private:
    class Ring;
    explicit BatchLoader(std::unique_ptr<Ring> ring);
    std::unique_ptr<Ring> ring_;
};

}  // namespace holdfast::data
