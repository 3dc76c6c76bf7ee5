// One optimizer step: micro-batches into lanes, lanes into one gradient, clip, update.
//
// With several ranks each computes its own lanes, which are one subtree of the tree of lanes; each
// bucket of the arena leaves for its owners while the backward pass goes on, each rank updates the
// pieces it owns, and the new weights come back while the next forward pass goes on. Whatever the
// rank count, the bits are the same (promise P4).
//
// launch() enqueues everything without asking the device anything; read() waits for that step alone
// and gives its numbers. The host may launch step S + 1 before it reads step S (on a CPU a step is
// done when launch() returns). A step whose loss or norm is not finite leaves weights, moments and
// update count untouched; read() tells it.
//
// Owns the gradient arenas and the clip's numbers. Borrows model and optimizer, which must outlive
// it. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include "data/batch_loader.h"
#include "dist/gradient_exchange.h"
#include "model/gpt.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "train/lane_tree.h"

namespace holdfast::train {

struct TrainStepOptions {
    std::uint64_t seed = 0;
    std::int64_t lanes = 1;        // of the run
    std::int64_t ranks = 1;        // that share them
    std::int64_t micro_batch = 1;  // sequences
    double grad_clip = 1.0;
};

// What a step was, once the device has it.
struct StepNumbers {
    double loss = 0.0;       // mean over the global batch, nats a token
    double grad_norm = 0.0;  // before clipping
    bool refused = false;    // loss or norm not finite: nothing was updated
    // With several ranks: what each computed for, and how long it had waited for the others and
    // for what they send, from the loss of the step before to this one's.
    std::vector<double> compute_seconds_of_ranks;
    std::vector<double> wait_seconds_of_ranks;
};

class TrainStep {
public:
    // `exchange` (null: one rank) must outlive it; the optimizer owns what the exchange says.
    TrainStep(const TrainStepOptions& options,
              model::Gpt& gpt,
              optim::AdamW& optimizer,
              dist::GradientExchange* exchange = nullptr);
    ~TrainStep();
    TrainStep(const TrainStep&) = delete;
    TrainStep& operator=(const TrainStep&) = delete;
    TrainStep(TrainStep&&) = delete;
    TrainStep& operator=(TrainStep&&) = delete;

    // Takes step number `step` (1 is the first) on `batch`, which holds this rank's sequences, at
    // `learning_rate`. `should_stop` (may be empty) is asked before each micro-batch: when it says
    // true the step is abandoned, false is returned and nothing has changed; not with several
    // ranks, which finish what they began. The batch may be reused when launch() returns.
    bool launch(const data::Batch& batch,
                std::int64_t step,
                double learning_rate,
                const std::function<bool()>& should_stop);

    // False when launch() was left by an exception while it was updating the weights: they are
    // neither those before the step nor those after.
    [[nodiscard]] bool weights_are_whole() const { return !updating_; }
    // The newest step whose update was launched whole: the weights are those after it, also when
    // launch() was left by an exception behind the update. Nothing before the first.
    [[nodiscard]] std::optional<std::int64_t> updated_step() const { return updated_step_; }

    // The numbers of `step`, which was launched last or last but one. Waits until the device has
    // finished it.
    [[nodiscard]] StepNumbers read(std::int64_t step);

    // Waits until all weights of the last step are here. Passes of the model wait by themselves.
    void wait_for_weights();

    // Bytes of the gradient arenas.
    static std::int64_t bytes_needed(const TrainStepOptions& options, std::int64_t element_count);

private:
    bool accumulate(const data::Batch& batch,
                    std::int64_t step,
                    double batch_tokens,
                    const std::function<bool()>& should_stop);

    void take_micro_batch(const data::Batch& batch,
                          std::int64_t step,
                          double batch_tokens,
                          std::int64_t at,
                          const model::BucketHook& bucket_is_done);
    void send_bucket(std::int64_t bucket);

    // Where the numbers of every other step land: loss sum, norm, flag, seconds that ranks
    // computed and waited, as fp64.
    struct NumbersSlot {
        at::Tensor device;
        at::Tensor host;  // pinned when the device is no CPU
        std::optional<c10::Event> copied;
        double batch_tokens = 1.0;
    };
    void keep_numbers(NumbersSlot& slot);
    NumbersSlot& slot_of(std::int64_t step) {
        return slots_.at(static_cast<std::size_t>(step % 2));
    }

    TrainStepOptions options_;
    model::Gpt& gpt_;
    optim::AdamW& optimizer_;
    dist::GradientExchange* exchange_;
    LaneTree lanes_;
    optim::GradientClip clip_;
    std::array<NumbersSlot, 2> slots_;
    bool updating_ = false;
    std::optional<std::int64_t> updated_step_;
};

}  // namespace holdfast::train
