// The handler of a signal, set for a test.
#pragma once

#include <signal.h>
#include <unistd.h>

namespace holdfast::dist {

// May be called between fork and exec.
inline void set_handler(int signal_number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    if (::sigaction(signal_number, &action, nullptr) != 0) {
        ::_exit(99);
    }
}

}  // namespace holdfast::dist
