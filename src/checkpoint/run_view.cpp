#include "checkpoint/run_view.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/ancestry.h"
#include "checkpoint/quarantine.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Names a run directory may hold before it has a run.json.
bool is_our_name(const std::string& name) {
    if (name.starts_with('.') || name.starts_with("metrics.")) {
        return true;
    }
    constexpr std::array kNames{kRunFileName,
                                kLatestName,
                                kLockName,
                                kQuarantineName,
                                kTensorboardName,
                                std::string_view("run.json.new"),
                                std::string_view("latest.new"),
                                std::string_view("backup")};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
           parse_pool(name).has_value();
}

Status refuse_foreign(fs::FileSystem& file_system, const std::string& directory) {
    const Result<std::vector<std::string>> names = file_system.list(directory);
    if (!names.ok()) {
        return names.error();
    }
    for (const std::string& name : names.value()) {
        if (!is_our_name(name)) {
            return Error{ErrorKind::kInvalid,
                         fmt::format("{} is not a run directory and holds {}: choose an empty or "
                                     "new directory with --checkpoint-dir",
                                     directory,
                                     name),
                         0};
        }
    }
    return Status{};
}

// The pools that say what a directory holds: second copies elsewhere do not make it a run's.
std::span<const Pool> pools_of(const RunPaths& paths) {
    return paths.backup_is_inside() ? std::span<const Pool>(kAllPools)
                                    : std::span<const Pool>(kRunPools);
}

Status read_identity(fs::FileSystem& file_system, RunView& view) {
    const Result<std::string> text =
        fs::read_file(file_system, view.paths.in_run(kRunFileName), kManifestBytesMax);
    const bool lost = !text.ok() && (text.error().kind == ErrorKind::kNotFound ||
                                     text.error().kind == ErrorKind::kInvalid ||
                                     text.error().kind == ErrorKind::kCorrupt);
    if (!text.ok() && !lost) {
        return text.error();
    }
    if (text.ok()) {
        Result<RunIdentity> identity = parse_run_identity(text.value());
        if (identity.ok()) {
            view.identity = std::move(identity).value();
            return Status{};
        }
        if (identity.error().kind == ErrorKind::kInvalid) {
            return identity.error().within(view.paths.directory);
        }
    }
    const Catalog catalog = scan_pools(file_system, view.paths, {}, pools_of(view.paths));
    if (const Entry* head = find_head(catalog)) {
        view.identity = run_identity_of(head->manifest);
        view.rebuilt = true;
    }
    return Status{};
}

}  // namespace

Result<RunView> view_run(fs::FileSystem& file_system, const RunPaths& paths) {
    RunView view;
    view.paths = paths;
    // The listing follows a symlink to a directory, as a user's data disk often is one.
    const Result<std::vector<std::string>> names = file_system.list(paths.directory);
    if (!names.ok() && names.error().kind == ErrorKind::kNotFound) {
        const Result<fs::FileStatus> status = file_system.status(paths.directory);
        if (status.ok()) {
            return Error{
                ErrorKind::kInvalid, fmt::format("{} is not a directory", paths.directory), 0};
        }
        return view;
    }
    if (!names.ok()) {
        return names.error();
    }
    view.exists = true;
    if (const Status read = read_identity(file_system, view); !read.ok()) {
        return read.error();
    }
    if (!view.identity) {
        if (const Status ours = refuse_foreign(file_system, paths.directory); !ours.ok()) {
            return ours.error();
        }
    }
    view.catalog = scan_pools(
        file_system, paths, view.identity ? view.identity->run_id : std::string(), pools_of(paths));
    if (!view.catalog.unreadable.empty()) {
        return Error{ErrorKind::kIo, view.catalog.unreadable.front(), 0};
    }
    const std::vector<Entry>& entries = view.catalog.entries;
    view.published = std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
        return entry.state != EntryState::kForeign;
    });
    if (!view.published) {
        const Result<bool> set_aside = holds_quarantined(file_system, paths);
        if (!set_aside.ok()) {
            return set_aside.error();
        }
        view.published = set_aside.value();
    }
    return view;
}

}  // namespace holdfast::checkpoint
