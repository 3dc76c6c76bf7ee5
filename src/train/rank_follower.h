// The loop of a rank that is told what to do (rank_orders.h): every rank but 0.
//
// Borrows its parts, which must outlive it. One thread. Blocks until rank 0 ends the run. Throws
// base::Failure when rank 0 is lost, or when this rank cannot do what it was told (its data is
// other data, a token shard is unreadable): the run ends, and goes on from its newest checkpoint
// when it is started again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/batch_loader.h"
#include "dist/communicator.h"
#include "dist/rank_watch.h"
#include "model/gpt.h"
#include "train/evaluation.h"
#include "train/part_saver.h"
#include "train/train_step.h"

namespace holdfast::train {

struct FollowerParts {
    dist::Communicator& group;
    dist::RankWatch& watch;
    model::Gpt& gpt;
    TrainStep& step;
    data::BatchLoader& loader;
    const std::vector<NamedValidationSet>& val_sets;
    PartSaver& saver;
    std::function<void()> capture;  // state into the saver's snapshot
};

// Until rank 0 ends the run: the exit code it gave.
base::ExitCode follow(const FollowerParts& parts);

struct StartOfFollower {
    // On several nodes: answers whether this rank sees the run that is told of, and then hears what
    // all answered.
    std::function<std::string(const std::string& question)> look;
    std::function<void(const std::vector<std::string>& answers)> looked;
    // What the run is.
    std::function<void(const std::string& text)> set_up;
    // Fills the snapshot with this rank's part of the checkpoint in the path.
    std::function<base::Status(const std::string& path)> load;
    // The run begins, with what was loaded or afresh.
    std::function<void(bool loaded, const data::Cursor& cursor)> begin;
};

// Before that: until the order to begin, or until rank 0 ends the run already; then its exit code.
std::optional<base::ExitCode> follow_start(dist::Communicator& group, const StartOfFollower& start);

}  // namespace holdfast::train
