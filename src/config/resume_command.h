// The shell command that goes on with a run, with the settings it was started with.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/resolved_settings.h"

namespace holdfast::config {

struct ResumeRequest {
    std::string program = "holdfast";   // as it was called
    std::string working_directory{};    // relative paths are meant from here; empty: no `cd`
    std::string config_path{};          // empty: the run was started without one
    std::vector<KeyValue> overrides{};  // dotted keys, from the command line that started it
    std::vector<std::string> launch{};  // further words, such as "--nproc-per-node" "8"
    std::string run_directory{};        // becomes --checkpoint-dir
    std::string resume = "auto";        // latest, best, STEP, PATH, ...
};

// One line, every word quoted where the shell needs it.
std::string resume_command(const ResumeRequest& request);

// The word as a POSIX shell reads it back: as it is when that is safe, else in single quotes.
std::string shell_quoted(std::string_view word);

}  // namespace holdfast::config
