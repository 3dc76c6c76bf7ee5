#include "dist/launch_config.h"

#include <cmath>
#include <cstdint>

#include <fmt/format.h>

namespace holdfast::dist {

using base::Error;
using base::ErrorKind;
using base::Status;

namespace {

// More processes than any machine of this kind has; keeps products within int.
constexpr int kRankCountMax = 1 << 20;
constexpr int kPortMax = 65535;

Error invalid(std::string what) {
    return Error{ErrorKind::kInvalid, std::move(what)};
}

Status check_layout(const LaunchConfig& config) {
    if (config.nproc_per_node < 1 || config.nproc_per_node > kRankCountMax) {
        return invalid(fmt::format("--nproc-per-node {} must be a number of processes, 1 to {}",
                                   config.nproc_per_node,
                                   kRankCountMax));
    }
    if (config.nnodes < 1 ||
        std::int64_t{config.nproc_per_node} * config.nnodes > std::int64_t{kRankCountMax}) {
        return invalid(
            fmt::format("--nnodes {} must be a number of nodes, and with "
                        "--nproc-per-node {} make no more than {} ranks",
                        config.nnodes,
                        config.nproc_per_node,
                        kRankCountMax));
    }
    if (config.node_rank < 0 || config.node_rank >= config.nnodes) {
        return invalid(fmt::format("--node-rank {} must be from 0 to {} with --nnodes {}",
                                   config.node_rank,
                                   config.nnodes - 1,
                                   config.nnodes));
    }
    if (config.nnodes > 1 && config.master_addr.empty()) {
        return invalid(
            fmt::format("--nnodes {} needs --master-addr: the host of node 0, the same on "
                        "every node",
                        config.nnodes));
    }
    if (config.nnodes == 1 && !config.master_addr.empty() && config.master_addr != "127.0.0.1" &&
        config.master_addr != "localhost") {
        return invalid(
            fmt::format("--master-addr {} has no use on one node: leave it out, or give "
                        "--nnodes and --node-rank",
                        config.master_addr));
    }
    if (config.master_port < 0 || config.master_port > kPortMax) {
        return invalid(fmt::format("--master-port {} must be a port, 1 to {}, or 0 for any",
                                   config.master_port,
                                   kPortMax));
    }
    return Status{};
}

Status check_restarts(const LaunchConfig& config) {
    if (config.max_restarts < 0) {
        return invalid(
            fmt::format("--max-restarts {} must be 0 or a number of times", config.max_restarts));
    }
    if (config.min_ranks < 1 || config.min_ranks > config.world_size()) {
        return invalid(fmt::format("--min-ranks {} must be from 1 to the {} ranks of the start",
                                   config.min_ranks,
                                   config.world_size()));
    }
    if (config.crash_loop_count < 1) {
        return invalid(
            fmt::format("the number of quick failures that end the restarts is {}; it "
                        "must be 1 or more",
                        config.crash_loop_count));
    }
    return Status{};
}

Status check_seconds(const char* what, double seconds) {
    if (std::isfinite(seconds) && seconds >= 0) {
        return Status{};
    }
    return invalid(fmt::format("{} is {} seconds; it must be 0 or more", what, seconds));
}

}  // namespace

Status check_launch_config(const LaunchConfig& config) {
    // First: the others multiply what it bounds.
    if (const Status layout = check_layout(config); !layout.ok()) {
        return layout;
    }
    for (const Status& status :
         {check_restarts(config),
          check_seconds("the grace of the other ranks after a failure", config.grace_seconds),
          check_seconds("the time from SIGTERM to SIGKILL", config.kill_seconds),
          check_seconds("the time within which a failure is a quick one",
                        config.crash_loop_seconds),
          check_seconds("the pause before a restart", config.restart_delay_seconds)}) {
        if (!status.ok()) {
            return status;
        }
    }
    return Status{};
}

}  // namespace holdfast::dist
