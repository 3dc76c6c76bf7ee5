// How long ranks wait for each other.
#pragma once

namespace holdfast::dist {

struct DistConfig {
    double timeout_seconds = 600;    // a call of the step loop that takes longer has failed
    double lost_after_seconds = 30;  // a rank from which nothing was heard for so long is lost
};

}  // namespace holdfast::dist
