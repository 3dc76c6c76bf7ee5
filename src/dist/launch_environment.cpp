#include "dist/launch_environment.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/words.h"
#include "dist/launch_config.h"
#include "dist/rank_environment.h"
#include "dist/slurm_hosts.h"
#include "dist/variable_reader.h"

namespace holdfast::dist {

using base::Result;

namespace {

constexpr int kNumberMax = std::numeric_limits<int>::max();
constexpr int kPortMax = 65535;
constexpr std::string_view kLoopback = "127.0.0.1";
// SLURM's own steps (batch script, interactive shell, ...) have the highest numbers.
constexpr std::uint64_t kSlurmOwnStepMin = 0xfffffff0;

// The variables that say which rank of how many, and so that a launcher is there at all.
struct Marks {
    Launcher launcher;
    std::string_view rank;
    std::string_view size;
    std::string_view other;  // a third one that only this launcher sets; may be empty
};

constexpr std::array kMarks = {
    Marks{Launcher::kHoldfast, kRankVariable, kWorldSizeVariable, kLocalRankVariable},
    Marks{Launcher::kTorchrun, "RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID"},
    Marks{Launcher::kOpenMpi, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", ""},
    Marks{Launcher::kSlurm, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", ""},
};

std::optional<std::string> find(const EnvironmentLookup& lookup, std::string_view name) {
    return VariableReader(lookup, "", "").find(name);
}

// Whether this process is one of several tasks that srun started.
bool is_srun_task(const EnvironmentLookup& lookup) {
    const auto rank = find(lookup, "SLURM_PROCID");
    const auto step = find(lookup, "SLURM_STEP_ID");
    if (!rank || !step) {
        return false;
    }
    if (parse_identifier(*step).value_or(0) >= kSlurmOwnStepMin) {
        return false;
    }
    const auto step_tasks = find(lookup, "SLURM_STEP_NUM_TASKS");
    const auto tasks = step_tasks ? step_tasks : find(lookup, "SLURM_NTASKS");
    return tasks != "1";
}

bool is_present(const EnvironmentLookup& lookup, const Marks& marks) {
    if (marks.launcher == Launcher::kSlurm) {
        return is_srun_task(lookup);
    }
    return find(lookup, marks.rank) || find(lookup, marks.size) ||
           (!marks.other.empty() && find(lookup, marks.other));
}

// Refuses a place that is not where `rank_name` of `size_name` belongs when every node has
// local_size ranks.
void check_place(VariableReader& reader,
                 const RankPlace& place,
                 std::string_view rank_name,
                 std::string_view local_rank_name,
                 std::string_view size_name) {
    if (place.size % place.local_size != 0) {
        reader.fail(
            fmt::format("{}={} is no multiple of the {} ranks on this node: every node must "
                        "have equally many",
                        size_name,
                        place.size,
                        place.local_size));
    }
    if (std::int64_t{place.node_rank} * place.local_size + place.local_rank != place.rank) {
        reader.fail(
            fmt::format("{}={} does not fit {}={} on node {} of {} ranks each: ranks must be "
                        "numbered node by node, equally many on each",
                        rank_name,
                        place.rank,
                        local_rank_name,
                        place.local_rank,
                        place.node_rank,
                        place.local_size));
    }
}

Result<LaunchEnvironment> finished(const VariableReader& reader, LaunchEnvironment environment) {
    if (reader.error()) {
        return *reader.error();
    }
    return environment;
}

Result<LaunchEnvironment> read_holdfast(const EnvironmentLookup& lookup) {
    VariableReader reader(lookup,
                          "holdfast's supervisor",
                          "unset the HOLDFAST_ variables, or start the ranks with holdfast train "
                          "--nproc-per-node N");
    LaunchEnvironment result;
    result.launcher = Launcher::kHoldfast;
    RankPlace& place = result.place;
    place.size = reader.number(kWorldSizeVariable, 1, kNumberMax);
    place.rank = reader.number(kRankVariable, 0, place.size - 1);
    place.local_size = reader.number(kLocalWorldSizeVariable, 1, place.size);
    place.local_rank = reader.number(kLocalRankVariable, 0, place.local_size - 1);
    place.node_count = place.size / place.local_size;
    place.node_rank = reader.number(kNodeRankVariable, 0, place.node_count - 1);
    check_place(reader, place, kRankVariable, kLocalRankVariable, kWorldSizeVariable);
    result.master_host = reader.text(kMasterAddrVariable);
    result.master_port = reader.number(kMasterPortVariable, 1, kPortMax);
    result.token = reader.text(kRunTokenVariable);
    result.restart_count = reader.number(kRestartCountVariable, 0, kNumberMax);
    if (reader.has(kListenFdVariable)) {
        if (place.rank != 0) {
            reader.fail(fmt::format(
                "{} is set for rank {} and is for rank 0 alone", kListenFdVariable, place.rank));
        }
        result.master_listen_fd = reader.number(kListenFdVariable, 3, kNumberMax);
    }
    return finished(reader, std::move(result));
}

Result<LaunchEnvironment> read_torchrun(const EnvironmentLookup& lookup) {
    VariableReader reader(lookup,
                          "torchrun",
                          "start the ranks with torchrun --no-python, or unset RANK, WORLD_SIZE "
                          "and TORCHELASTIC_RUN_ID for a run of one process");
    LaunchEnvironment result;
    result.launcher = Launcher::kTorchrun;
    RankPlace& place = result.place;
    place.size = reader.number("WORLD_SIZE", 1, kNumberMax);
    place.rank = reader.number("RANK", 0, place.size - 1);
    place.local_size = reader.number("LOCAL_WORLD_SIZE", 1, place.size);
    place.local_rank = reader.number("LOCAL_RANK", 0, place.local_size - 1);
    place.node_count = place.size / place.local_size;
    place.node_rank = reader.number("GROUP_RANK", 0, place.size - 1);
    check_place(reader, place, "RANK", "LOCAL_RANK", "WORLD_SIZE");
    result.master_host = reader.text("MASTER_ADDR");
    result.master_port = reader.number("MASTER_PORT", 1, kPortMax);
    result.agent_serves_store = reader.find("TORCHELASTIC_USE_AGENT_STORE") == "True";
    result.restart_count = reader.number_or("TORCHELASTIC_RESTART_COUNT", 0, kNumberMax, 0);
    // "none" is what torchrun says when nobody named the run.
    result.token = reader.find("TORCHELASTIC_RUN_ID").value_or("none");
    return finished(reader, std::move(result));
}

Result<LaunchEnvironment> read_open_mpi(const EnvironmentLookup& lookup) {
    VariableReader reader(lookup,
                          "mpirun",
                          "start the ranks with mpirun --map-by slot, equally many on each node, "
                          "or unset the OMPI_COMM_WORLD_ variables");
    LaunchEnvironment result;
    result.launcher = Launcher::kOpenMpi;
    RankPlace& place = result.place;
    place.size = reader.number("OMPI_COMM_WORLD_SIZE", 1, kNumberMax);
    place.rank = reader.number("OMPI_COMM_WORLD_RANK", 0, place.size - 1);
    place.local_size = reader.number("OMPI_COMM_WORLD_LOCAL_SIZE", 1, place.size);
    place.local_rank = reader.number("OMPI_COMM_WORLD_LOCAL_RANK", 0, place.local_size - 1);
    place.node_count = place.size / place.local_size;
    place.node_rank = place.rank / place.local_size;
    check_place(reader,
                place,
                "OMPI_COMM_WORLD_RANK",
                "OMPI_COMM_WORLD_LOCAL_RANK",
                "OMPI_COMM_WORLD_SIZE");
    const auto master = reader.find("MASTER_ADDR");
    if (!master && place.node_count > 1) {
        reader.fail(
            fmt::format("MASTER_ADDR is not set and the ranks are on {} nodes: give the host "
                        "of rank 0 with mpirun -x MASTER_ADDR=HOST",
                        place.node_count));
    }
    result.master_host = master.value_or(std::string(kLoopback));
    result.master_port = reader.number_or("MASTER_PORT", 1, kPortMax, kDefaultMasterPort);
    const auto name_space = reader.find("PMIX_NAMESPACE");
    const auto job = name_space ? name_space : reader.find("OMPI_MCA_ess_base_jobid");
    result.token = job.value_or("mpirun");
    return finished(reader, std::move(result));
}

// A port that jobs on the same node seldom share, below those the system gives out by itself.
int slurm_port(std::uint64_t job, std::uint64_t step) {
    constexpr std::uint64_t kPortMin = 10000;
    constexpr std::uint64_t kPortCount = 20000;
    constexpr std::uint64_t kStepsApart = 101;
    return static_cast<int>(kPortMin + (job + step * kStepsApart) % kPortCount);
}

// The ranks of a node: "4(x2)" when all have equally many; "4,3" is refused.
void read_slurm_layout(VariableReader& reader, RankPlace& place) {
    place.size = reader.number_of_either("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", 1, kNumberMax);
    place.node_count =
        reader.number_of_either("SLURM_STEP_NUM_NODES", "SLURM_NNODES", 1, place.size);
    const auto tasks_per_node = reader.find("SLURM_STEP_TASKS_PER_NODE");
    if (place.size % place.node_count != 0 ||
        (tasks_per_node && tasks_per_node->find(',') != std::string::npos)) {
        reader.fail(fmt::format("{} tasks on {} nodes{}: every node must have equally many",
                                place.size,
                                place.node_count,
                                tasks_per_node ? fmt::format(" (SLURM_STEP_TASKS_PER_NODE={})",
                                                             base::printable(*tasks_per_node))
                                               : ""));
    }
    place.local_size = place.size / place.node_count;
    place.rank = reader.number("SLURM_PROCID", 0, place.size - 1);
    place.node_rank = reader.number("SLURM_NODEID", 0, place.node_count - 1);
    place.local_rank = reader.number("SLURM_LOCALID", 0, place.local_size - 1);
    check_place(reader, place, "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS");
}

std::string slurm_master(VariableReader& reader, const RankPlace& place) {
    if (const auto master = reader.find("MASTER_ADDR")) {
        return *master;
    }
    if (place.node_count == 1) {
        return std::string(kLoopback);
    }
    const std::string nodes = reader.text("SLURM_STEP_NODELIST");
    const auto host = first_slurm_host(nodes);
    if (!host) {
        reader.fail(fmt::format(
            "SLURM_STEP_NODELIST={} is no list of hosts; MASTER_ADDR can name the host of rank 0",
            base::printable(nodes)));
    }
    return host.value_or("");
}

Result<LaunchEnvironment> read_slurm(const EnvironmentLookup& lookup) {
    VariableReader reader(
        lookup, "srun", "start the ranks with srun --distribution=block --ntasks-per-node=N");
    LaunchEnvironment result;
    result.launcher = Launcher::kSlurm;
    read_slurm_layout(reader, result.place);
    result.master_host = slurm_master(reader, result.place);
    const std::uint64_t job = reader.identifier("SLURM_JOB_ID");
    const std::uint64_t step = reader.identifier("SLURM_STEP_ID");
    result.master_port = reader.number_or("MASTER_PORT", 1, kPortMax, slurm_port(job, step));
    result.token = fmt::format("{}.{}", job, step);
    result.restart_count = reader.number_or("SLURM_RESTART_COUNT", 0, kNumberMax, 0);
    return finished(reader, std::move(result));
}

Result<LaunchEnvironment> read_alone(const EnvironmentLookup& lookup) {
    LaunchEnvironment result;
    const auto job = find(lookup, "SLURM_JOB_ID");
    if (job && !find(lookup, "SLURM_STEP_ID")) {
        result.notes.push_back(
            fmt::format("in SLURM job {} but not started by srun: this is a run of one process",
                        base::printable(*job)));
    }
    return result;
}

Result<LaunchEnvironment> read_set(Launcher launcher, const EnvironmentLookup& lookup) {
    switch (launcher) {
        case Launcher::kHoldfast:
            return read_holdfast(lookup);
        case Launcher::kTorchrun:
            return read_torchrun(lookup);
        case Launcher::kOpenMpi:
            return read_open_mpi(lookup);
        case Launcher::kSlurm:
            return read_slurm(lookup);
        case Launcher::kNone:
            break;
    }
    return read_alone(lookup);
}

// Tells of every other launcher whose variables name another rank or size.
void note_others(const EnvironmentLookup& lookup, LaunchEnvironment& environment) {
    for (const Marks& marks : kMarks) {
        if (marks.launcher <= environment.launcher || !is_present(lookup, marks)) {
            continue;
        }
        const std::string rank = find(lookup, marks.rank).value_or("?");
        const std::string size = find(lookup, marks.size).value_or("?");
        if (rank != std::to_string(environment.place.rank) ||
            size != std::to_string(environment.place.size)) {
            environment.notes.push_back(
                fmt::format("{} says rank {} of {} and is taken; the variables of {} ({}={}, "
                            "{}={}) say another and are not",
                            name_of(environment.launcher),
                            environment.place.rank,
                            environment.place.size,
                            name_of(marks.launcher),
                            marks.rank,
                            base::printable(rank),
                            marks.size,
                            base::printable(size)));
        }
    }
}

}  // namespace

std::string_view name_of(Launcher launcher) {
    switch (launcher) {
        case Launcher::kHoldfast:
            return "holdfast";
        case Launcher::kTorchrun:
            return "torchrun";
        case Launcher::kOpenMpi:
            return "mpirun";
        case Launcher::kSlurm:
            return "srun";
        case Launcher::kNone:
            break;
    }
    return "none";
}

Result<LaunchEnvironment> read_launch_environment(const EnvironmentLookup& lookup) {
    Launcher launcher = Launcher::kNone;
    for (const Marks& marks : kMarks) {
        if (is_present(lookup, marks)) {
            launcher = marks.launcher;
            break;
        }
    }
    Result<LaunchEnvironment> result = read_set(launcher, lookup);
    if (result.ok() && launcher != Launcher::kNone) {
        note_others(lookup, result.value());
    }
    return result;
}

std::optional<std::string> process_environment(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace holdfast::dist
