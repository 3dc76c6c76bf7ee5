// What this binary is: written at build time, told by --version and stored in every checkpoint.
#pragma once

#include <string_view>

namespace holdfast::base {

struct BuildInfo {
    std::string_view version;  // "0.1.0"
    std::string_view
        commit;  // twelve hex digits, "-modified" when the tree was; "unknown" outside git
    std::string_view flavour;   // "cpu" or "cuda"
    std::string_view compiler;  // "GNU 12.2.0"
    std::string_view build_type;
};

const BuildInfo& build_info();

}  // namespace holdfast::base
