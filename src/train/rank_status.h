// How a rank tells another what came of something: a Status as a text. Pure; any thread.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast::train {

std::string print_rank_status(const base::Status& status);
// kCorrupt for a text that print_rank_status() does not make.
base::Status parse_rank_status(const std::string& text);

}  // namespace holdfast::train
