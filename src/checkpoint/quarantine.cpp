#include "checkpoint/quarantine.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "checkpoint/publish.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kNumberDigits = 6;

// "000007_rolling_step_00000500": the number orders them, the rest is for people.
std::optional<std::int64_t> number_of(const std::string& name) {
    std::int64_t number = 0;
    const auto [end, code] =
        std::from_chars(name.data(), name.data() + std::min(name.size(), kNumberDigits), number);
    const bool numbered = code == std::errc{} && end == name.data() + kNumberDigits &&
                          name.size() > kNumberDigits && name[kNumberDigits] == '_';
    return numbered ? std::optional(number) : std::nullopt;
}

// "backup/rolling" as "backup_rolling".
std::string flat(std::string label) {
    std::replace(label.begin(), label.end(), '/', '_');
    return label;
}

std::string folder_name(std::int64_t number, const Entry& entry) {
    return fmt::format("{:06}_{}", number, flat(entry.label()));
}

// What folder_name() was made of.
std::optional<Identity> identity_of(const std::string& name) {
    if (!number_of(name)) {
        return std::nullopt;
    }
    const std::string_view label = std::string_view(name).substr(kNumberDigits + 1);
    for (const Pool pool : kAllPools) {
        const std::string prefix = flat(std::string(to_string(pool))) + '_';
        if (label.starts_with(prefix)) {
            return identity_by_name(std::string(label.substr(prefix.size())));
        }
    }
    return std::nullopt;
}

void drop_oldest(fs::FileSystem& file_system, const std::string& folder) {
    const Result<std::vector<std::string>> names = file_system.list(folder);
    std::vector<std::pair<std::int64_t, std::string>> numbered;
    for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
        if (const auto number = number_of(name)) {
            numbered.emplace_back(*number, name);
        }
    }
    std::sort(numbered.begin(), numbered.end());
    for (std::size_t i = 0; i + kQuarantineKept < numbered.size(); ++i) {
        const Status removed = remove_tree(file_system, fs::join(folder, numbered[i].second));
        if (!removed.ok()) {
            base::log_warning(
                "quarantine keeps more than {}: {}", kQuarantineKept, removed.error().what);
        }
    }
}

}  // namespace

Result<std::string> quarantine_entry(fs::FileSystem& file_system,
                                     const RunPaths& paths,
                                     const Entry& entry) {
    const std::string folder = paths.quarantine(entry.pool);
    if (const Status made = fs::make_directories(file_system, folder); !made.ok()) {
        return made.error();
    }
    const Result<std::vector<std::string>> names = file_system.list(folder);
    if (!names.ok()) {
        return names.error();
    }
    std::int64_t number = 1;
    for (const std::string& name : names.value()) {
        number = std::max(number, number_of(name).value_or(0) + 1);
    }
    const std::string path = fs::join(folder, folder_name(number, entry));
    const Status moved = file_system.rename(entry.path, path, fs::RenameMode::kNoReplace);
    if (!moved.ok()) {
        return moved.error();
    }
    for (const std::string& parent : {fs::parent_of(entry.path), folder}) {
        // Moved it is; should a power cut bring it back, the next resume moves it again.
        if (const Status synced = file_system.sync_directory(parent); !synced.ok()) {
            base::log_warning(
                "{} may come back after a power cut: {}", entry.label(), synced.error().what);
        }
    }
    const Status told = fs::replace_file(file_system,
                                         fs::join(path, std::string(kQuarantineReasonName)),
                                         fmt::format("{}: {}\n", entry.label(), entry.why));
    if (!told.ok()) {
        base::log_warning("why {} was damaged is not written down: {}", path, told.error().what);
    }
    drop_oldest(file_system, folder);
    return path;
}

Result<std::vector<Identity>> quarantined_identities(fs::FileSystem& file_system,
                                                     const RunPaths& paths) {
    const Result<std::vector<std::string>> names = file_system.list(paths.in_run(kQuarantineName));
    std::vector<Identity> identities;
    if (!names.ok()) {
        return names.error().kind == ErrorKind::kNotFound
                   ? Result<std::vector<Identity>>(std::move(identities))
                   : names.error();
    }
    for (const std::string& name : names.value()) {
        if (std::optional<Identity> identity = identity_of(name)) {
            identities.push_back(*std::move(identity));
        }
    }
    return identities;
}

Result<bool> holds_quarantined(fs::FileSystem& file_system, const RunPaths& paths) {
    const Result<std::vector<std::string>> names = file_system.list(paths.in_run(kQuarantineName));
    if (!names.ok()) {
        return names.error().kind == ErrorKind::kNotFound ? Result<bool>(false) : names.error();
    }
    return std::any_of(names.value().begin(), names.value().end(), [](const std::string& name) {
        return number_of(name).has_value();
    });
}

}  // namespace holdfast::checkpoint
