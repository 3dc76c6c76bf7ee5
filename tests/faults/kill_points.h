// Where the soak kills a run: named points of its life, each as the calls by which the program
// passes through it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::faults {

// A call of tests/faults/call_fault.cpp and how it may be cut off.
struct KillCall {
    std::string_view call;
    std::string_view pattern;
    std::int64_t nth_max;  // one of the first so many matches is the last
    std::vector<std::string_view> actions;
};

struct KillPoint {
    std::string_view name;
    std::vector<KillCall> calls;
    // The point at which the kill before must have been, for this one to have something to do.
    std::string_view after;
};

// Points that a rule alone describes. Those that need to know where the run stands are named below.
const std::vector<KillPoint>& kill_points();

// The first start in a directory, when there is nothing yet: the beginning of each run.
const KillPoint& first_start();

// The same of second copies, in a folder named `backup`.
const std::vector<KillPoint>& copy_kill_points();
const KillPoint& first_copies();

// In the copy of the state, between the arenas.
inline constexpr std::string_view kCapture = "capture";
// While a saved step is being evaluated.
inline constexpr std::string_view kEvaluation = "evaluation";
// At whatever it does after a random time.
inline constexpr std::string_view kRandomTime = "random time";

}  // namespace holdfast::faults
