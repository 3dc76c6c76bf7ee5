// Text with a checksum as its last line: a change anywhere makes it be refused there, and no
// mutation would ever reach the fields behind. So such a target checks an input twice, as it is and
// with its checksum made right.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::fuzz {

// The input with the last line made right when it has the form of a checksum line, else with one
// added.
std::string with_right_checksum(std::string_view input);

}  // namespace holdfast::fuzz
