// What launchers leave in the environment: a rank that is read has a place that can be, and a
// message about one that cannot is a line. An input is settings, NAME=value, a line each.
#include <algorithm>
#include <cstdint>
#include <map>

#include "dist/launch_environment.h"
#include "dist/rank_environment.h"
#include "dist/slurm_hosts.h"
#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {

namespace {

std::map<std::string, std::string> settings_in(std::string_view input) {
    std::map<std::string, std::string> settings;
    while (!input.empty()) {
        const std::string_view line = input.substr(0, input.find('\n'));
        input.remove_prefix(std::min(line.size() + 1, input.size()));
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos) {
            settings[std::string(line.substr(0, equals))] = line.substr(equals + 1);
        }
    }
    return settings;
}

void require_consistent(const dist::LaunchEnvironment& found) {
    const dist::RankPlace& place = found.place;
    require(place.rank >= 0 && place.rank < place.size, "a rank is below the size");
    require(place.local_rank >= 0 && place.local_rank < place.local_size,
            "a local rank is below the local size");
    require(place.node_rank >= 0 && place.node_rank < place.node_count,
            "a node is below the number of nodes");
    require(std::int64_t{place.local_size} * place.node_count == place.size,
            "nodes have equally many ranks");
    require(std::int64_t{place.node_rank} * place.local_size + place.local_rank == place.rank,
            "ranks are numbered node by node");
    require(found.restart_count >= 0, "a count of restarts is not negative");
    if (found.launcher == dist::Launcher::kNone) {
        require(place == dist::RankPlace{}, "without a launcher there is one process");
    } else {
        require(found.master_port > 0 && found.master_port < 65536, "a port is one");
        require(!found.master_host.empty() && !found.token.empty(), "ranks can meet");
    }
    for (const std::string& note : found.notes) {
        require_one_line(base::Error{base::ErrorKind::kInvalid, note, 0});
    }
}

std::string in_lines(const std::vector<std::string>& settings) {
    std::string text;
    for (const std::string& setting : settings) {
        text += setting + '\n';
    }
    return text;
}

}  // namespace

bool check_launch_environment(std::string_view input) {
    if (const auto host = dist::first_slurm_host(input)) {
        require(!host->empty() && host->find_first_of("[], \n/") == std::string::npos,
                "a host is a plain name");
    }
    const std::map<std::string, std::string> settings = settings_in(input);
    const auto found =
        dist::read_launch_environment([&](const std::string& name) -> std::optional<std::string> {
            const auto setting = settings.find(name);
            return setting == settings.end() ? std::nullopt : std::optional(setting->second);
        });
    if (!found.ok()) {
        require_one_line(found.error());
        return false;
    }
    require_consistent(found.value());
    return found.value().launcher != dist::Launcher::kNone;
}

std::vector<std::string> launch_environment_seeds() {
    dist::RankOrder order;
    order.place = {
        .rank = 5, .size = 8, .local_rank = 1, .local_size = 4, .node_rank = 1, .node_count = 2};
    order.master_host = "node0";
    order.master_port = 4000;
    order.run_token = "cafe";
    return {in_lines(dist::rank_environment({}, order)),
            "RANK=5\nWORLD_SIZE=8\nLOCAL_RANK=1\nLOCAL_WORLD_SIZE=4\nGROUP_RANK=1\n"
            "MASTER_ADDR=node0\nMASTER_PORT=4000\nTORCHELASTIC_USE_AGENT_STORE=True\n"
            "TORCHELASTIC_RESTART_COUNT=1\nTORCHELASTIC_RUN_ID=job\n",
            "OMPI_COMM_WORLD_RANK=5\nOMPI_COMM_WORLD_SIZE=8\nOMPI_COMM_WORLD_LOCAL_RANK=1\n"
            "OMPI_COMM_WORLD_LOCAL_SIZE=4\nMASTER_ADDR=node0\nPMIX_NAMESPACE=prte-17@1\n",
            "SLURM_PROCID=5\nSLURM_STEP_NUM_TASKS=8\nSLURM_LOCALID=1\nSLURM_NODEID=1\n"
            "SLURM_STEP_NUM_NODES=2\nSLURM_STEP_TASKS_PER_NODE=4(x2)\n"
            "SLURM_STEP_NODELIST=gpu[07-08,12]\nSLURM_JOB_ID=4711\nSLURM_STEP_ID=0\n"};
}

}  // namespace holdfast::fuzz
