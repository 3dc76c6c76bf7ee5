#include "base/build_info.h"

namespace holdfast::base {

// Defined in a source file written at each build (tools/cmake/build_commit.cmake).
std::string_view build_commit();

const BuildInfo& build_info() {
    static const BuildInfo kInfo{
        HOLDFAST_VERSION, build_commit(), HOLDFAST_FLAVOUR, HOLDFAST_COMPILER, HOLDFAST_BUILD_TYPE};
    return kInfo;
}

}  // namespace holdfast::base
