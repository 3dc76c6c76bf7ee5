#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace holdfast::base {

void check_failed(const char* file, int line, const char* condition, std::string_view message) {
    fmt::print(stderr,
               "holdfast: this is a bug in holdfast: {}:{}: {} does not hold: {}\n",
               file,
               line,
               condition,
               message);
    std::abort();
}

}  // namespace holdfast::base
