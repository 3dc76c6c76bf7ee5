// The table of options for people: --help and docs/config.md.
#pragma once

#include <string>

#include "config/option_table.h"

namespace holdfast::config {

// Group by group: "--key TYPE  help [unit, range; default]", wrapped at `columns`.
std::string help_text(const OptionTable& table, int columns);

// docs/config.md, whole. `holdfast config-docs > docs/config.md` writes it; a test compares.
std::string config_docs(const OptionTable& table);

}  // namespace holdfast::config
