#include "base/process_usage.h"

#include <sys/resource.h>

#include "base/check.h"

namespace holdfast::base {

ProcessUsage process_usage() {
    rusage usage{};
    HF_CHECK(::getrusage(RUSAGE_SELF, &usage) == 0, "getrusage refused its own process");
    return {.peak_resident_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024U,
            .page_faults = usage.ru_minflt};
}

}  // namespace holdfast::base
