#include "cli/launch_options.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <fmt/format.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/run_environment.h"
#include "dist/restart_policy.h"
#include "dist/sum_tree.h"

namespace holdfast::cli {

namespace {

constexpr int kRanksMax = 65536;
constexpr int kPortMax = 65535;

// The value of a whole number's option in [minimum, maximum].
int number_of(
    const config::CommandLine& line, const char* name, int value, int minimum, int maximum) {
    if (!line.has(name)) {
        return value;
    }
    const std::string text = line.value(name);
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < minimum ||
        number > maximum) {
        fail_usage(fmt::format("--{}: expected a whole number from {} to {}, found '{}'",
                               name,
                               minimum,
                               maximum,
                               text));
    }
    return number;
}

}  // namespace

std::vector<config::CommandOption> node_options() {
    return {{"nnodes", "N", "machines of the run; start the same on each"},
            {"node-rank", "N", "which of them this is, from 0"},
            {"master-addr", "HOST", "the machine of rank 0, as all reach it"},
            {"master-port", "PORT", "where the ranks meet there; default 29500"}};
}

dist::LaunchConfig parse_launch(const config::CommandLine& line,
                                const std::function<int(int nnodes)>& ranks_for) {
    dist::LaunchConfig launch;
    launch.nnodes = number_of(line, "nnodes", 1, 1, kRanksMax);
    launch.nproc_per_node = ranks_for(launch.nnodes);
    launch.node_rank = number_of(line, "node-rank", 0, 0, kRanksMax);
    launch.master_addr = line.value("master-addr");
    launch.master_port = number_of(line, "master-port", 0, 0, kPortMax);
    launch.max_restarts = number_of(line, "max-restarts", 0, 0, 1'000'000);
    launch.min_ranks = number_of(line, "min-ranks", launch.nproc_per_node, 1, kRanksMax);
    const base::Status valid = dist::check_launch_config(launch);
    if (!valid.ok()) {
        fail_usage(valid.error().what);
    }
    return launch;
}

std::vector<std::string> launch_words_of(const config::CommandLine& line) {
    std::vector<std::string> words;
    for (const char* name :
         {"nnodes", "node-rank", "master-addr", "master-port", "max-restarts", "min-ranks"}) {
        if (line.has(name)) {
            words.push_back(fmt::format("--{}", name));
            words.push_back(line.value(name));
        }
    }
    return words;
}

int ranks_that_share(int gpus, std::int64_t lanes, int nnodes) {
    std::vector<int> valid;
    for (const std::int64_t count : dist::valid_rank_counts(lanes)) {
        if (count % nnodes == 0) {
            valid.push_back(static_cast<int>(count / nnodes));
        }
    }
    return valid.empty() ? gpus : dist::choose_rank_count(gpus, valid, 1).value_or(gpus);
}

int automatic_rank_count(const std::string& device, std::int64_t lanes, int nnodes) {
    constexpr const char* kMore = "--nproc-per-node N starts more";
    if (device == "cpu") {
        base::log_info("ranks   one, on the CPU: auto counts GPUs; {}", kMore);
        return 1;
    }
    const int gpus = gpu_count();
    if (gpus == 0) {
        if (device != "cuda") {  // where a GPU was asked for, that there is none is told as such
            base::log_info("ranks   one, on the CPU: there is no GPU; {}", kMore);
        }
        return 1;
    }
    const int count = lanes == 0 ? gpus : ranks_that_share(gpus, lanes, nnodes);
    if (count != gpus) {
        base::log_warning(
            "{} of the {} GPUs of this node are used: more ranks cannot share the {} "
            "lanes of the run",
            count,
            gpus,
            lanes);
    }
    return count;
}

bool must_start_ranks(int asked, bool is_explicit, const dist::LaunchEnvironment& launch) {
    if (launch.launcher == dist::Launcher::kHoldfast) {
        return false;  // the ranks are started with the words that started them
    }
    if (launch.launcher == dist::Launcher::kNone) {
        return asked > 1;
    }
    if (asked > 1 && is_explicit && launch.place.size > 1) {
        fail_usage(
            fmt::format("{} has started {} ranks already; leave --nproc-per-node and "
                        "--nnodes to it",
                        dist::name_of(launch.launcher),
                        launch.place.size));
    }
    return asked > 1 && is_explicit;
}

}  // namespace holdfast::cli
