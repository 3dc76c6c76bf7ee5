#include "base/thread_priority.h"

#include <thread>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

int nice_of_this_thread() {
    return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)));
}

TEST(ThreadPriority, ConcernsTheCallingThreadAlone) {
    const int before = nice_of_this_thread();
    int nice = 0;
    long io_priority = 0;
    std::thread([&] {
        yield_to_other_threads();
        nice = nice_of_this_thread();
        io_priority = ::syscall(SYS_ioprio_get, 1, 0);
    }).join();
    EXPECT_EQ(nice, 19);
    EXPECT_EQ(io_priority >> 13, 3) << "the idle class";
    EXPECT_EQ(nice_of_this_thread(), before);
}

}  // namespace
}  // namespace holdfast::base
