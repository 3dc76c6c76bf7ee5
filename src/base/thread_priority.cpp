#include "base/thread_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast::base {

namespace {

// The C library has neither a call nor names for it (ioprio_set(2)).
constexpr int kWhoProcess = 1;
constexpr int kClassIdle = 3;
constexpr int kClassShift = 13;
constexpr int kNiceMost = 19;

}  // namespace

void yield_to_other_threads() {
    // On Linux both speak of one thread. What they answer does not matter: see the header.
    const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
    static_cast<void>(::setpriority(PRIO_PROCESS, thread, kNiceMost));
    static_cast<void>(::syscall(SYS_ioprio_set, kWhoProcess, 0, kClassIdle << kClassShift));
}

}  // namespace holdfast::base
