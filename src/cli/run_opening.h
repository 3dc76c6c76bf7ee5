// The directory of a run, opened for training, and the settings that its run goes on with.
//
// Free functions of the command's thread. Both block on the disk.
#pragma once

#include <string>

#include "checkpoint/run_directory.h"
#include "checkpoint/transfer_buffers.h"
#include "cli/train_request.h"
#include "config/settings.h"

namespace holdfast::cli {

// Opens (and locks) what `request` asks for, with `settings` complete. What there is to know is
// told in the log. Throws base::Failure: no run to resume or damaged (3), no space (4), locked or
// refused by the system (1).
checkpoint::OpenedRun open_run_or_fail(const TrainRequest& request,
                                       const config::Settings& settings,
                                       const std::string& data_fingerprint,
                                       checkpoint::TransferBuffers& buffers);

// The stored settings with the changes asked for, which become the run's. Throws base::Failure for
// a change that is not allowed, or that cannot be recorded.
config::Settings settings_of_resumed(checkpoint::RunDirectory& run,
                                     const TrainRequest& request,
                                     const std::string& data_fingerprint);

}  // namespace holdfast::cli
