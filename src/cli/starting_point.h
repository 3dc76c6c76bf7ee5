// Where a run starts: with fresh weights, or with the state of a checkpoint; and its log, brought
// back to that place.
//
// Free functions of the command's thread. All of them block on the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/pool_link.h"
#include "checkpoint/resume_request.h"
#include "checkpoint/run_directory.h"
#include "cli/node_disks.h"
#include "cli/training_run.h"
#include "config/settings.h"
#include "fs/file_system.h"
#include "telemetry/patient_file.h"
#include "train/rank_leader.h"
#include "train/trainer.h"

namespace holdfast::cli {

// Everything about the place a run starts from.
struct StartingPoint {
    train::TrainerStart start;
    telemetry::LogPosition log;
    std::optional<checkpoint::PublishedCheckpoint> resumed_from;
};

// Who loads with this process; both null when it is alone, `disk` also when all are on one node.
struct OtherRanks {
    train::RankLeader* leader = nullptr;
    OfferedDisk* disk = nullptr;
};

// Weights drawn from the seed, step 0. Nothing is read.
StartingPoint start_fresh(const checkpoint::OpenedRun& opened,
                          const config::Settings& settings,
                          const std::string& environment,
                          TrainingRun& training);

// Loads what `resume` names into `training`, every byte verified, by all ranks when there are
// others: a candidate counts only when each could load its part; anything but the head of the
// current line begins a lineage. `environment` is this process's: what differs from the
// checkpoint's is told. Throws base::Failure: nothing usable (exit 3), random streams that are not
// those of the checkpoint.
StartingPoint start_from_checkpoint(const checkpoint::OpenedRun& opened,
                                    const checkpoint::ResumeRequest& resume,
                                    const config::Settings& settings,
                                    const std::string& environment,
                                    TrainingRun& training,
                                    const OtherRanks& others);

// True when the log already holds the finished line of the last step, and `best` holds that step
// where it belongs there: then there is nothing left to do.
bool is_finished(const checkpoint::RunDirectory& run,
                 const StartingPoint& point,
                 std::int64_t steps_total);

// Cuts metrics.jsonl back to what the starting point knows of it; the rest is kept in a file of its
// own. What cannot be done is a warning.
void bring_log_back(fs::FileSystem& file_system,
                    const checkpoint::RunPaths& paths,
                    const StartingPoint& point);

}  // namespace holdfast::cli
