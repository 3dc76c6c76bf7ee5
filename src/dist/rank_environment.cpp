#include "dist/rank_environment.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

// CUDA's own variable: which GPUs a process sees, in which order.
constexpr std::string_view kVisibleDevices = "CUDA_VISIBLE_DEVICES";

std::vector<std::string_view> entries_of(std::string_view list) {
    std::vector<std::string_view> entries;
    for (std::size_t at = 0; at <= list.size();) {
        const std::size_t end = std::min(list.find(',', at), list.size());
        entries.push_back(list.substr(at, end - at));
        at = end + 1;
    }
    return entries;
}

void show_devices_of(const std::vector<int>& slots, std::vector<std::string>& environment) {
    if (slots.empty()) {
        return;
    }
    const std::string name = fmt::format("{}=", kVisibleDevices);
    const auto inherited =
        std::find_if(environment.begin(), environment.end(), [&](const std::string& setting) {
            return setting.rfind(name, 0) == 0;
        });
    if (inherited == environment.end()) {
        environment.push_back(fmt::format("{}{}", name, fmt::join(slots, ",")));
        return;
    }
    const std::vector<std::string_view> entries =
        entries_of(std::string_view(*inherited).substr(name.size()));
    if (static_cast<std::size_t>(slots.back()) >= entries.size()) {
        return;
    }
    std::vector<std::string_view> shown;
    shown.reserve(slots.size());
    for (const int slot : slots) {
        shown.push_back(entries.at(static_cast<std::size_t>(slot)));
    }
    *inherited = fmt::format("{}{}", name, fmt::join(shown, ","));
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
    show_devices_of(order.slots, environment);
    return environment;
}

}  // namespace holdfast::dist
