// A model read from a checkpoint, for commands that only use it.
#pragma once

#include <memory>
#include <string>

#include "checkpoint/manifest.h"
#include "config/settings.h"
#include "kernels/kernels.h"
#include "model/gpt.h"

namespace holdfast::cli {

struct LoadedModel {
    std::string path;  // of the checkpoint that was read
    checkpoint::Manifest manifest;
    config::Settings settings;  // of the run that wrote it
    std::unique_ptr<kernels::Kernels> kernels;
    std::unique_ptr<model::Gpt> gpt;
};

// Reads the weights of `path`, a checkpoint or a run directory (then its newest valid one),
// verifying every byte read. `device` as run.device; `threads` 0: those of the run. `sequences_max`
// 0: the micro-batch of the run. Sets up libtorch; call once in a process. Throws base::Failure.
LoadedModel load_model(const std::string& path,
                       const std::string& device,
                       std::int64_t threads,
                       std::int64_t sequences_max);

}  // namespace holdfast::cli
