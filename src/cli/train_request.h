// What the command line of `train` asks for, read and checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/resume_request.h"
#include "config/resolved_settings.h"
#include "dist/launch_config.h"

namespace holdfast::cli {

// A config file is read whole; a larger one is none.
inline constexpr std::uint64_t kConfigBytesMax = std::uint64_t{1} << 20U;

struct TrainRequest {
    config::ResolvedSettings resolved;
    checkpoint::ResumeRequest resume;
    std::vector<std::string> allowed_changes;  // --allow-change
    std::string config_path;                   // empty: none
    dist::LaunchConfig launch;                 // --nproc-per-node and its kin
    std::vector<std::string> launch_words;     // the same as they were given
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
