// How the ranks of a run are started and watched on one node.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::dist {

// Where rank 0 listens when several nodes meet and nobody named a port: torchrun's usual one.
inline constexpr int kDefaultMasterPort = 29500;

struct LaunchConfig {
    int nproc_per_node = 1;   // ranks on this node
    int nnodes = 1;           // nodes of the run; each has a supervisor of its own
    int node_rank = 0;        // this node, from 0
    std::string master_addr;  // host of rank 0; must be given for several nodes, loopback on one
    int master_port = 0;      // 0: any free port on one node, kDefaultMasterPort on several
    std::string run_token;    // the same on all nodes; empty: random on one node, made of address,
                              // port and layout on several
    int max_restarts = 0;     // how often the ranks are started again after a failure
    int min_ranks = 1;        // a restart with fewer is refused
    std::vector<int> valid_rank_counts;   // counts a restart may have; empty: any
    double time_limit_seconds = 0;        // ranks that lived so long ended as they were told to; 0:
                                          // no limit
    std::optional<int> result_exit_code;  // with which a rank tells a result, and does not fail
    double grace_seconds = 30;            // what the other ranks get to end after a first failure
    double kill_seconds = 10;             // from SIGTERM, or a second stop signal, to SIGKILL
    double crash_loop_seconds = 60;       // a failure this soon after the start made no progress
    int crash_loop_count = 3;             // so many of them in a row end the restarts
    double restart_delay_seconds = 1;     // pause before a restart

    [[nodiscard]] int world_size() const { return nproc_per_node * nnodes; }
};

// kInvalid, naming the option, its value and what to do, for a config that cannot be.
base::Status check_launch_config(const LaunchConfig& config);

}  // namespace holdfast::dist
