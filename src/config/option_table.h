// The table of options: every setting of a run, declared once. The JSON file, the command line, the
// environment, --help, docs/config.md, validation and the resolved table all come from it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/option.h"

namespace holdfast::config {

class OptionTable {
public:
    explicit OptionTable(std::vector<Option> options);

    // In the order of declaration, group by group.
    [[nodiscard]] const std::vector<Option>& options() const { return options_; }

    // The option of exactly this dotted key, or null.
    [[nodiscard]] const Option* find(std::string_view key) const;

    // The option a person means on the command line: the dotted key, an alias, or the last part
    // where only one option has it; '-' and '_' are the same. kInvalid: unknown (with the nearest
    // name), or a last part that several share (all named).
    [[nodiscard]] base::Result<const Option*> find_by_name(std::string_view name) const;

    // "; did you mean 'x'?" for a name that is near a known one, else empty. `extra_names` are
    // considered too.
    [[nodiscard]] std::string suggestion(std::string_view name,
                                         const std::vector<std::string>& extra_names = {}) const;

private:
    std::vector<Option> options_;
};

// The options of this program. Made once, never changed.
const OptionTable& option_table();

// "n-layer" as "n_layer".
std::string normal_name(std::string_view name);

}  // namespace holdfast::config
