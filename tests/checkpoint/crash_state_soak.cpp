// Explores crash states of one life after another until so many were seen: crash_state_soak STATES.
// Prints a line now and then and one at the end; exit code 1 when a state broke a promise.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <malloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "crash_exploration.h"

namespace holdfast::checkpoint {
namespace {

int soak(std::uint64_t states_wanted) {
    // A start on a state takes and gives back megabytes: the allocator keeps them, or each costs
    // cleared pages.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    base::capture_log([](base::LogLevel, std::string_view) {});
    const double begin_seconds = base::monotonic_seconds();
    ExplorationOptions options;
    options.bounds = {.exhaustive_max = 1024, .pairs_max = 200, .samples = 200};
    options.nested_bounds = {.exhaustive_max = 16, .pairs_max = 4, .samples = 4};
    options.states_max = states_wanted;
    CrashExploration exploration(options);
    std::uint64_t lives = 0;
    while (exploration.distinct_states() < states_wanted && exploration.violations().empty()) {
        for (std::size_t act = 0; act < kActCount; ++act) {
            exploration.explore(record_act(static_cast<Act>(act), lives), lives);
            std::printf(
                "life %llu, act %zu: %llu states, %llu of them of starts cut short, "
                "%.0f s\n",
                static_cast<unsigned long long>(lives + 1),
                act + 1,
                static_cast<unsigned long long>(exploration.distinct_states()),
                static_cast<unsigned long long>(exploration.nested_states()),
                base::monotonic_seconds() - begin_seconds);
            std::fflush(stdout);
        }
        ++lives;
    }
    for (const std::string& violation : exploration.violations()) {
        std::printf("%s\n", violation.c_str());
    }
    std::printf("%llu distinct states, %zu violations\n",
                static_cast<unsigned long long>(exploration.distinct_states()),
                exploration.violations().size());
    return exploration.violations().empty() ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::checkpoint

int main(int argc, char** argv) {
    const std::uint64_t states = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
    if (states == 0) {
        std::fprintf(stderr, "usage: crash_state_soak STATES\n");
        return 2;
    }
    return holdfast::checkpoint::soak(states);
}
