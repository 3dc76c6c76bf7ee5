// What the command line of `train` asks for, read and checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/resume_request.h"
#include "config/resolved_settings.h"
#include "dist/launch_config.h"
#include "dist/launch_environment.h"

namespace holdfast::cli {

// A config file is read whole; a larger one is none.
inline constexpr std::uint64_t kConfigBytesMax = std::uint64_t{1} << 20U;

struct TrainRequest {
    config::ResolvedSettings resolved;
    checkpoint::ResumeRequest resume;
    std::vector<std::string> allowed_changes;  // --allow-change
    std::string config_path;                   // empty: none
    dist::LaunchEnvironment started_by;        // this process
    dist::LaunchConfig launch;                 // dist.nproc_per_node, --nnodes and its kin
    std::vector<std::string> launch_words;     // --nnodes and its kin as they were given
    bool must_start_ranks = false;             // as `launch` says: nobody has yet
    bool allow_unlocked = false;
    bool dry_run = false;
    bool list_checkpoints = false;
    bool help = false;

    // How the run was started, as JSON: `checkpoints resume-command` reads it back from a
    // checkpoint.
    [[nodiscard]] std::string launch_json() const;
};

// Throws base::Failure (usage) with one line for anything that cannot be read.
TrainRequest parse_train_request(const std::vector<std::string>& arguments);

void print_train_help();

}  // namespace holdfast::cli
