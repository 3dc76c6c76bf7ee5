// What happens in a new process between fork and exec: only calls that a signal handler might make,
// on memory that was laid out before the fork.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include <signal.h>
#include <sys/types.h>

namespace holdfast::dist {

// All of it is the parent's memory; `kept` is sorted, without `report`, and from 3 on.
struct ChildSetup {
    const char* executable = nullptr;
    char* const* arguments = nullptr;
    char* const* environment = nullptr;
    int stdout_descriptor = -1;  // -1: the parent's own
    int stderr_descriptor = -1;
    const int* kept = nullptr;
    std::size_t kept_count = 0;
    int report = -1;  // write end of the pipe that tells the parent what failed
    pid_t parent = -1;
    sigset_t signal_mask{};  // to be in force in the program
};

enum class SetupStage : int { kParentGone, kGroup, kStandardStreams, kDescriptors, kExec };

// What the report carries when the program could not be started; nothing is written when it was.
struct SetupFailure {
    SetupStage stage = SetupStage::kExec;
    int os_errno = 0;
};

std::string_view verb_of(SetupStage stage);

// Called in the child with all signals blocked.
[[noreturn]] void become_program(const ChildSetup& setup);

}  // namespace holdfast::dist
