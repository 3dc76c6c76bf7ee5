#include "data/batch_loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/clock.h"
#include "data/batch_hash.h"
#include "data/window_reader.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

// Batch k of this loader lies in slot k % slots. The producer fills slot produced_ without the
// lock, then raises produced_; the consumer reads slot consumed_ while it is below produced_, then
// raises consumed_. So a slot has one side at a time and the two counters are all that is shared.
class BatchLoader::Ring {
public:
    Ring(const TokenSet& set,
         WindowMap windows,
         const BatchLoaderOptions& options,
         const Cursor& cursor)
        : samples_(options.seed, std::move(windows)),
          options_(options),
          reader_(set, samples_.windows().window_tokens(), options.vocab_size),
          produced_cursor_(cursor),
          consumed_cursor_(cursor),
          slots_(static_cast<std::size_t>(options.prefetch_batches) + 1) {
        for (Batch& slot : slots_) {
            allocate(slot);
        }
        if (options_.prefetch_batches > 0) {
            thread_ = std::thread([this] { produce(); });
        }
    }

    ~Ring() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        slot_free_.notify_one();
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    Ring(Ring&&) = delete;
    Ring& operator=(Ring&&) = delete;

    Result<const Batch*> next(const std::function<bool()>& should_stop) {
        std::unique_lock lock(mutex_);
        if (has_news()) {
            return news();
        }
        const double begin_seconds = base::monotonic_seconds();
        if (options_.prefetch_batches == 0) {
            lock.unlock();
            produce_one();
            lock.lock();
        }
        bool is_stopped = false;
        while (!has_news() && !is_stopped) {
            batch_ready_.wait_for(lock, std::chrono::duration<double>(kWaitSliceSeconds), [this] {
                return has_news();
            });
            if (!has_news() && should_stop) {
                lock.unlock();  // the caller's function may take its time, or locks of its own
                is_stopped = should_stop();
                lock.lock();
            }
        }
        waited_seconds_ += base::monotonic_seconds() - begin_seconds;
        return has_news() ? news() : Result<const Batch*>(nullptr);
    }

    void consume() {
        const std::lock_guard lock(mutex_);
        HF_CHECK(in_hand_, "consume() without a batch from next()");
        consumed_cursor_ = slot(consumed_).end;
        in_hand_ = false;
        ++consumed_;
        slot_free_.notify_one();
    }

    [[nodiscard]] const Cursor& cursor() const { return consumed_cursor_; }
    [[nodiscard]] const SampleMap& samples() const { return samples_; }
    [[nodiscard]] double waited_seconds() const { return waited_seconds_; }

private:
    Batch& slot(std::uint64_t number) { return slots_[number % slots_.size()]; }

    void allocate(Batch& batch) const {
        const auto tokens =
            static_cast<std::size_t>(options_.slice.count * samples_.windows().window_tokens());
        batch.slice = options_.slice;
        batch.window_tokens = samples_.windows().window_tokens();
        batch.tokens_ST.resize(tokens);
        batch.targets_ST.resize(tokens);
        batch.sequence_hashes.resize(static_cast<std::size_t>(options_.sequences));
    }

    // The next two with mutex_ held. A batch that was finished before the error still counts.
    [[nodiscard]] bool has_news() const { return produced_ > consumed_ || error_.has_value(); }
    Result<const Batch*> news() {
        if (produced_ > consumed_) {
            in_hand_ = true;
            return &slot(consumed_);
        }
        return *error_;
    }

    void produce() {
        while (true) {
            {
                std::unique_lock lock(mutex_);
                slot_free_.wait(
                    lock, [this] { return stopping_ || produced_ - consumed_ < slots_.size(); });
            }
            if (stopping_ || !produce_one()) {
                return;
            }
        }
    }

    // Fills the next slot, which must be free, and tells the consumer. False at the end: an error,
    // or the destructor.
    bool produce_one() {
        if (error_.has_value()) {  // written by this thread only
            return false;
        }
        Batch& batch = slot(produced_);
        const Status filled = fill(batch);
        if (stopping_) {
            return false;
        }
        {
            const std::lock_guard lock(mutex_);
            if (filled.ok()) {
                ++produced_;
            } else {
                error_ = filled.error();
            }
        }
        batch_ready_.notify_one();
        return filled.ok();
    }

    Status fill(Batch& batch) {
        const std::int64_t windows_per_epoch = samples_.windows_per_epoch();
        batch.begin = produced_cursor_;
        batch.first_global_sample = produced_cursor_.global_sample(windows_per_epoch);
        Cursor cursor = produced_cursor_;
        for (std::int64_t n = 0; n < options_.sequences && !stopping_; ++n) {
            Status read = reader_.read(samples_.locate(cursor));
            if (!read.ok()) {
                return read;
            }
            batch.sequence_hashes[static_cast<std::size_t>(n)] = reader_.hash();
            const std::int64_t row = n - options_.slice.first;
            if (row >= 0 && row < options_.slice.count) {
                lay_out(batch, row);
            }
            cursor = cursor.advanced(1, windows_per_epoch);
        }
        batch.batch_hash = combine_sequence_hashes(batch.sequence_hashes);
        batch.end = cursor;
        produced_cursor_ = cursor;
        return Status{};
    }

    void lay_out(Batch& batch, std::int64_t row) const {
        const std::ptrdiff_t begin = row * batch.window_tokens;
        const std::span<const std::int32_t> tokens_T = reader_.tokens_T();
        const std::span<const std::int32_t> targets_T = reader_.targets_T();
        std::copy(tokens_T.begin(), tokens_T.end(), batch.tokens_ST.begin() + begin);
        std::copy(targets_T.begin(), targets_T.end(), batch.targets_ST.begin() + begin);
    }

    const SampleMap samples_;
    const BatchLoaderOptions options_;

    // The producer's.
    WindowReader reader_;
    Cursor produced_cursor_;

    // The consumer's.
    Cursor consumed_cursor_;
    bool in_hand_ = false;
    double waited_seconds_ = 0;

    // Of both: under mutex_, but produced_ is read by its only writer without.
    std::vector<Batch> slots_;
    std::mutex mutex_;
    std::condition_variable batch_ready_;
    std::condition_variable slot_free_;
    std::uint64_t produced_ = 0;
    std::uint64_t consumed_ = 0;
    std::optional<Error> error_;
    // Also read in the middle of a batch, so that the destructor never waits for a whole one.
    std::atomic<bool> stopping_ = false;

    std::thread thread_;  // last: it uses everything above
};

Result<std::unique_ptr<BatchLoader>> BatchLoader::open(const TokenSet& set,
                                                       WindowMap windows,
                                                       const BatchLoaderOptions& options,
                                                       const Cursor& cursor) {
    BatchLoaderOptions whole = options;
    if (whole.slice.count == 0) {
        whole.slice = BatchSlice{0, whole.sequences};
    }
    HF_CHECK(whole.sequences >= 1 && whole.prefetch_batches >= 0 && whole.slice.first >= 0 &&
                 whole.slice.count <= whole.sequences - whole.slice.first,
             "sequences [{}, {} more) of a batch of {}, {} ahead",
             whole.slice.first,
             whole.slice.count,
             whole.sequences,
             whole.prefetch_batches);
    if (cursor.epoch < 0 || cursor.sample < 0 || cursor.sample >= windows.window_count()) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("the cursor (epoch {}, sample {}) is not in this data, which has "
                                 "{} windows of {} tokens an epoch: the checkpoint was made with "
                                 "other data or another block_size",
                                 cursor.epoch,
                                 cursor.sample,
                                 windows.window_count(),
                                 windows.window_tokens()),
                     0};
    }
    return std::unique_ptr<BatchLoader>(new BatchLoader(  // NOLINT: the constructor is private
        std::make_unique<Ring>(set, std::move(windows), whole, cursor)));
}

BatchLoader::BatchLoader(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {}
BatchLoader::~BatchLoader() = default;

Result<const Batch*> BatchLoader::next(const std::function<bool()>& should_stop) {
    return ring_->next(should_stop);
}

void BatchLoader::consume() {
    ring_->consume();
}

const Cursor& BatchLoader::cursor() const {
    return ring_->cursor();
}

const SampleMap& BatchLoader::samples() const {
    return ring_->samples();
}

double BatchLoader::waited_seconds() const {
    return ring_->waited_seconds();
}

std::int64_t BatchLoader::bytes_needed(const BatchLoaderOptions& options,
                                       std::int64_t window_tokens) {
    const std::int64_t rows = options.slice.count == 0 ? options.sequences : options.slice.count;
    const auto token_bytes = static_cast<std::int64_t>(sizeof(std::int32_t));
    const auto hash_bytes = static_cast<std::int64_t>(sizeof(std::uint64_t));
    const std::int64_t batch_bytes =
        2 * rows * window_tokens * token_bytes + options.sequences * hash_bytes;
    return (options.prefetch_batches + 1) * batch_bytes + (window_tokens + 1) * token_bytes;
}

}  // namespace holdfast::data
