// What is different between a stored run and what is asked of it now, and whether it may be.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/option.h"
#include "config/settings.h"

namespace holdfast::config {

struct SettingsChange {
    std::string key;
    ChangeRule rule = ChangeRule::kFree;
    std::string stored;  // as people read it
    std::string requested;
};

// In the order of the table. An automatic option (0, "auto") of `requested` means "as it was" and
// is no change.
std::vector<SettingsChange> find_changes(const Settings& stored, const Settings& requested);

struct ResumeSettings {
    Settings settings;                    // stored, with the permitted changes
    std::vector<SettingsChange> changes;  // those made; to be told and recorded
};

// The settings a resumed run goes on with. kInvalid, one line: a changed option that is kFixed, or
// kMathematics and not named in `allowed_keys` (as typed after --allow-change; unknown names are
// errors too), with both values and what to do.
base::Result<ResumeSettings> settings_for_resume(const Settings& stored,
                                                 const Settings& requested,
                                                 std::span<const std::string> allowed_keys);

}  // namespace holdfast::config
