// The options with which a command starts ranks, read and checked; the same for every command that
// does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/command_line.h"
#include "dist/launch_config.h"
#include "dist/launch_environment.h"

namespace holdfast::cli {

// --nnodes, --node-rank, --master-addr, --master-port: for a command's list of options.
std::vector<config::CommandOption> node_options();

// What those and --max-restarts and --min-ranks of `line` say, with as many ranks on this node as
// `ranks_for` answers. Throws base::Failure (usage), one line that names the option, for what
// cannot be.
dist::LaunchConfig parse_launch(const config::CommandLine& line,
                                const std::function<int(int nnodes)>& ranks_for);

// Their words as they were given: a resumed run is started with them too.
std::vector<std::string> launch_words_of(const config::CommandLine& line);

// How many ranks "auto" starts on each node: one a GPU, as many of them as can share `lanes` lanes
// (0: any number). One where `device` is cpu, or where there is no GPU. Says so on the log.
int automatic_rank_count(const std::string& device, std::int64_t lanes, int nnodes);

// Of `gpus` ranks a node, as many as can share `lanes` lanes on `nnodes` nodes; all where no number
// can.
int ranks_that_share(int gpus, std::int64_t lanes, int nnodes);

// True when `asked` ranks on all nodes must be started by this process: nobody has yet. Throws
// base::Failure (usage) when another launcher has, and `is_explicit`: the command line or the
// environment asks for them too.
bool must_start_ranks(int asked, bool is_explicit, const dist::LaunchEnvironment& launch);

}  // namespace holdfast::cli
