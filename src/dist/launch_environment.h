// Which launcher started this process, and as which rank: read from the environment that launchers
// leave. Four are known; the first whose variables are there is taken, in this order:
//
//   holdfast   HOLDFAST_RANK, HOLDFAST_WORLD_SIZE, ... (rank_environment.h): the own supervisor
//   torchrun   RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, GROUP_RANK, MASTER_ADDR,
//   MASTER_PORT;
//              TORCHELASTIC_USE_AGENT_STORE, _RESTART_COUNT, _RUN_ID where there are any
//   mpirun     OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE of Open MPI. The node is rank
//              / local size (OMPI_COMM_WORLD_NODE_RANK is a rank within a node). MASTER_ADDR is
//              needed on several nodes
//   srun       SLURM_PROCID, SLURM_LOCALID, SLURM_NODEID, the step's tasks and nodes, and the first
//              host of its node list. A process of an allocation that is no task of an srun step
//              (the script of sbatch, a shell of salloc), or the only task of one, is no rank
//
// With none of them the process is the only one. A variable that is set to nothing counts as not
// set. Pure functions; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dist/rank_place.h"

namespace holdfast::dist {

enum class Launcher { kNone, kHoldfast, kTorchrun, kOpenMpi, kSlurm };

// "none", "holdfast", "torchrun", "mpirun", "srun".
std::string_view name_of(Launcher launcher);

struct LaunchEnvironment {
    Launcher launcher = Launcher::kNone;
    RankPlace place;
    std::string master_host = "127.0.0.1";
    int master_port = 0;  // 0 only without a launcher
    // torchrun's agent serves the store on that port: every rank, 0 too, is a client of it.
    bool agent_serves_store = false;
    // Rank 0 under holdfast's supervisor on one node: this descriptor listens on master_port.
    std::optional<int> master_listen_fd;
    std::string token;  // the same in all ranks of a run; empty only without a launcher
    int restart_count = 0;
    std::vector<std::string> notes;  // what a person should know, a line each
};

// The value of a variable of the environment, or nothing when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

// kInvalid, in one line that names variable, value and what to do, for a set in which a variable is
// missing, is no number or contradicts another.
base::Result<LaunchEnvironment> read_launch_environment(const EnvironmentLookup& lookup);

// The lookup of this process's own environment.
std::optional<std::string> process_environment(const std::string& name);

}  // namespace holdfast::dist
