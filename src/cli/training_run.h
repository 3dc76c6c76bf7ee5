// The live parts of one training run, built from its settings, and the way from a checkpoint into
// them.
//
// Owns model, optimizer, buffers and data sets. Built once; init or load, then train/trainer
// borrows the parts. One thread.
#pragma once

#include <memory>
#include <vector>

#include "checkpoint/reader.h"
#include "cli/run_memory.h"
#include "config/settings.h"
#include "data/batch_loader.h"
#include "dist/communicator.h"
#include "dist/gradient_exchange.h"
#include "kernels/kernels.h"
#include "model/gpt.h"
#include "optim/adamw.h"
#include "state/run_position.h"
#include "state/snapshot.h"
#include "train/evaluation.h"
#include "train/run_data.h"
#include "train/train_step.h"

namespace holdfast::cli {

class TrainingRun {
public:
    // `settings` are complete (automatic choices made) and valid; `data` is open and outlives this.
    // `group`: the ranks that share the run, which must outlive this; null: this process alone.
    // Throws base::Failure when the data does not fit the settings (too few tokens for one window).
    TrainingRun(const config::Settings& settings,
                const train::RunData& data,
                kernels::Kernels& kernels,
                dist::Communicator* group = nullptr);

    // Fresh weights from the seed.
    void initialise();

    // Loads what this rank needs of a verified checkpoint into the snapshot: all weights, and the
    // moments it owns. install() then makes it the live state.
    base::Status load(checkpoint::Reader& reader);
    void install();

    // The live state into the snapshot: what the saver calls.
    void capture();

    // The loader at `cursor`. Call once, when the place is known.
    base::Result<std::unique_ptr<data::BatchLoader>> make_loader(const data::Cursor& cursor) const;

    [[nodiscard]] model::Gpt& gpt() { return gpt_; }
    [[nodiscard]] train::TrainStep& step() { return step_; }
    [[nodiscard]] state::Snapshot& snapshot() { return snapshot_; }
    [[nodiscard]] const std::vector<train::NamedValidationSet>& val_sets() const {
        return val_sets_;
    }
    [[nodiscard]] const data::WindowMap& windows() const { return windows_; }
    [[nodiscard]] RunMemory planned_memory() const;

private:
    [[nodiscard]] state::LiveTensors live();
    [[nodiscard]] model::GptOptions gpt_options() const;
    [[nodiscard]] data::BatchLoaderOptions loader_options() const;

    config::Settings settings_;
    const train::RunData& data_;
    int rank_;
    int ranks_;
    dist::GroupShape shape_;
    data::WindowMap windows_;
    std::vector<train::NamedValidationSet> val_sets_;
    model::ArenaLayout layout_;
    model::Gpt gpt_;
    std::unique_ptr<dist::GradientExchange> exchange_;  // null: one rank
    std::vector<optim::ElementRange> owned_;
    std::vector<optim::ElementRange> decaying_;
    optim::AdamW optimizer_;
    train::TrainStep step_;
    state::Snapshot snapshot_;
};

}  // namespace holdfast::cli
