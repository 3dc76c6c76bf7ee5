// One line of metrics.jsonl: what one optimizer step was, and what it cost.
//
// Two groups of fields (docs/resume.md). The exact ones are equal, bit for bit, in a run that was
// stopped and resumed and in one that was not (promise P2): step, phase, epoch, loss, val_loss and
// val_loss.<name>, lr, grad_norm, tokens, batch_hash. The free ones tell of time and place and may
// differ. Plain values; any thread.
//
// Text form: one JSON object, keys in the order of the struct, absent optionals left out. A float
// is written with the fewest digits that read back to the same bits, always with a '.' or an
// exponent. JSON has no NaN and no infinity: such a field is written as null, and the object
// `nonfinite` names it, as in {"loss":null,"nonfinite":{"loss":"nan"}} ("nan", "inf", "-inf"; the
// sign and payload of a NaN are not kept). batch_hash is 16 hex digits in a string, since JSON
// readers may round whole numbers beyond 2^53.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::telemetry {

// The mean loss over one validation set, nats a token.
struct ValLoss {
    std::string
        set;  // empty for the first set (key "val_loss"), else the name in "val_loss.<name>"
    double loss = 0.0;

    // "val_loss" or "val_loss.<set>".
    [[nodiscard]] std::string key() const;
};

struct StepMetrics {
    // Exact under P2.
    std::int64_t step = 0;
    std::string phase = "base";
    std::int64_t epoch = 0;
    double loss = 0.0;                // mean over the global batch, nats a token
    std::vector<ValLoss> val_losses;  // empty unless the step was evaluated; the first set first
    double learning_rate = 0.0;       // key "lr"
    double grad_norm = 0.0;           // global L2, before clipping
    std::int64_t tokens = 0;          // consumed since the run began, this step included
    std::uint64_t batch_hash = 0;     // XXH3 of the global batch (design of the data order)

    // Free to differ.
    std::optional<double> tokens_per_second;
    std::optional<double> step_ms;
    std::optional<double> data_wait_ms;
    std::optional<double> save_stall_ms;
    // With several ranks: what each computed for, how long it waited for the others and what they
    // sent, and how long the one waited that came last, which is the exchange alone.
    std::vector<double> rank_compute_ms;
    std::vector<double> rank_wait_ms;
    std::optional<double> communication_ms;
    std::optional<double> mfu;  // 0 to 1; absent where the device's peak is not known
    std::optional<std::uint64_t> memory_bytes;  // the most that was resident since the start
    std::optional<std::int64_t> page_faults;    // since the line before; 0 when no memory is new
    std::optional<std::int64_t> resumed_from;   // the checkpoint's step, on the first line after it
    std::vector<std::string> events;            // key "event": notes such as a refused step

    // The loss on the first validation set, if it was evaluated.
    [[nodiscard]] std::optional<double> val_loss() const;
};

// The line, without its line feed.
std::string to_json_line(const StepMetrics& metrics);

// The same with the exact fields only: what a test of P2 compares.
std::string to_exact_json_line(const StepMetrics& metrics);

// The exact fields without any val_loss: what a manifest keeps of its step, since a save comes
// before the evaluation of the same step.
std::string to_manifest_json(const StepMetrics& metrics);

// Reads any of the three forms, with or without a line feed. Unknown keys are passed over (a later
// program may write more). kCorrupt: not an object, a required field (step, loss) missing, or a
// field of the wrong type, named.
base::Result<StepMetrics> parse_step_metrics(std::string_view line);

}  // namespace holdfast::telemetry
