#include "dist/rank_environment.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast::dist {

namespace {

constexpr std::array kVariables = {kRankVariable,
                                   kWorldSizeVariable,
                                   kLocalRankVariable,
                                   kLocalWorldSizeVariable,
                                   kNodeRankVariable,
                                   kMasterAddrVariable,
                                   kMasterPortVariable,
                                   kRunTokenVariable,
                                   kRestartCountVariable,
                                   kListenFdVariable};

bool is_ours(std::string_view setting) {
    const std::string_view name = setting.substr(0, setting.find('='));
    return std::find(kVariables.begin(), kVariables.end(), name) != kVariables.end();
}

}  // namespace

std::vector<std::string> rank_environment(const std::vector<std::string>& inherited,
                                          const RankOrder& order) {
    std::vector<std::string> environment;
    environment.reserve(inherited.size() + kVariables.size());
    std::copy_if(inherited.begin(),
                 inherited.end(),
                 std::back_inserter(environment),
                 [](const std::string& setting) { return !is_ours(setting); });
    const auto set = [&](std::string_view name, const auto& value) {
        environment.push_back(fmt::format("{}={}", name, value));
    };
    set(kRankVariable, order.place.rank);
    set(kWorldSizeVariable, order.place.size);
    set(kLocalRankVariable, order.place.local_rank);
    set(kLocalWorldSizeVariable, order.place.local_size);
    set(kNodeRankVariable, order.place.node_rank);
    set(kMasterAddrVariable, order.master_host);
    set(kMasterPortVariable, order.master_port);
    set(kRunTokenVariable, order.run_token);
    set(kRestartCountVariable, order.restart_count);
    if (order.listen_fd) {
        set(kListenFdVariable, *order.listen_fd);
    }
    return environment;
}

}  // namespace holdfast::dist
