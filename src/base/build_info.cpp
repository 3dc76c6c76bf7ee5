#include "base/build_info.h"

#include "base/build_commit.h"  // generated at each build (tools/cmake/build_commit.cmake)

namespace holdfast::base {

const BuildInfo& build_info() {
    static constexpr BuildInfo kInfo{HOLDFAST_VERSION,
                                     HOLDFAST_COMMIT,
                                     HOLDFAST_FLAVOUR,
                                     HOLDFAST_COMPILER,
                                     HOLDFAST_BUILD_TYPE};
    return kInfo;
}

}  // namespace holdfast::base
