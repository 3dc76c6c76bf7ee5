// Config files: JSON with // and /* */ comments. Strict: an unknown or repeated key or a value of
// the wrong type is an error, never passed over.
//
// Two spellings, freely mixed: {"model": {"n_layer": 4}} and {"model.n_layer": 4}.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/option_table.h"

namespace holdfast::config {

// The options the text sets, in the order it sets them. kInvalid, one line: "<path>: line 3, column
// 7: ..." for what is not JSON; "<path>: model.n_layer: expected a whole number, at least 1; found
// \"four\""; "<path>: unknown key 'model.n_layers'; did you mean 'model.n_layer'?".
base::Result<std::vector<std::pair<const Option*, OptionValue>>> parse_config_text(
    const OptionTable& table, std::string_view text, std::string_view path);

}  // namespace holdfast::config
