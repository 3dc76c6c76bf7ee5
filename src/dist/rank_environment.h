// The environment in which holdfast's own supervisor starts a rank: the names of its variables and
// the one place that writes them. launch_environment.h reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dist/rank_place.h"

namespace holdfast::dist {

inline constexpr std::string_view kRankVariable = "HOLDFAST_RANK";
inline constexpr std::string_view kWorldSizeVariable = "HOLDFAST_WORLD_SIZE";
inline constexpr std::string_view kLocalRankVariable = "HOLDFAST_LOCAL_RANK";
inline constexpr std::string_view kLocalWorldSizeVariable = "HOLDFAST_LOCAL_WORLD_SIZE";
inline constexpr std::string_view kNodeRankVariable = "HOLDFAST_NODE_RANK";
inline constexpr std::string_view kMasterAddrVariable = "HOLDFAST_MASTER_ADDR";
inline constexpr std::string_view kMasterPortVariable = "HOLDFAST_MASTER_PORT";
inline constexpr std::string_view kRunTokenVariable = "HOLDFAST_RUN_TOKEN";
inline constexpr std::string_view kRestartCountVariable = "HOLDFAST_RESTART_COUNT";
// Rank 0 on one node only: the number of the descriptor that already listens on the port.
inline constexpr std::string_view kListenFdVariable = "HOLDFAST_MASTER_LISTEN_FD";

// What one rank is told.
struct RankOrder {
    RankPlace place;
    std::string master_host;
    int master_port = 0;
    std::string run_token;
    int restart_count = 0;
    std::optional<int> listen_fd;
    std::vector<int> slots;  // of the ranks of this node, ascending; empty: none is left out
};

// `inherited` (each "NAME=value") with the variables above set as `order` says, each once, and the
// ones that do not apply removed.
//
// With `order.slots` CUDA_VISIBLE_DEVICES lists them, so that each rank finds the GPU of its slot
// at its local rank, and one that is lost is not even looked for. Slots count the entries of an
// inherited list, which stays as it is when it has too few.
std::vector<std::string> rank_environment(const std::vector<std::string>& inherited,
                                          const RankOrder& order);

}  // namespace holdfast::dist
