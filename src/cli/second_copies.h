// The second copies of a run, from its start to its end.
#pragma once

#include <memory>

#include "checkpoint/backup_writer.h"
#include "checkpoint/run_directory.h"
#include "config/settings.h"
#include "train/trainer.h"

namespace holdfast::cli {

// Null where none are wanted.
std::unique_ptr<checkpoint::BackupWriter> start_backup(const config::Settings& settings,
                                                       const checkpoint::RunDirectory& run,
                                                       bool is_wanted);

// Waits for the last ones, within what a stop leaves of its time, and tells what is missing. False
// when one is still under way: its thread may never come back.
bool finish_backup(checkpoint::BackupWriter& backup, const train::TrainerResult& result);

}  // namespace holdfast::cli
