// The host names in SLURM's compact lists.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::dist {

// The first host of a node list: "a" of "a", "a1" of "a[1-3,7]", "a1" of "a1,b2", "r01n3" of
// "r[01-02]n[3-4]". Nothing for a text that is no such list.
std::optional<std::string> first_slurm_host(std::string_view node_list);

}  // namespace holdfast::dist
