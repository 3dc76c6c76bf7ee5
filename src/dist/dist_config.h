// How many ranks a node has, and how long they wait for each other.
#pragma once

#include <cstdint>

namespace holdfast::dist {

struct DistConfig {
    std::int64_t nproc_per_node = 1;    // ranks started on each node; 0: one a GPU
    double join_timeout_seconds = 120;  // a rank that has not come by then will not come
    double timeout_seconds = 600;       // a call of the step loop that takes longer has failed
    double lost_after_seconds = 30;     // a rank from which nothing was heard for so long is lost
};

}  // namespace holdfast::dist
