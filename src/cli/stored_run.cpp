#include "cli/stored_run.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "checkpoint/ancestry.h"
#include "checkpoint/run_identity.h"
#include "cli/command.h"
#include "fs/durable_write.h"

namespace holdfast::cli {

using checkpoint::Entry;
using checkpoint::EntryState;

namespace {

[[noreturn]] void fail_not_found(std::string what) {
    fail({base::ErrorKind::kNotFound, std::move(what), 0});
}

std::string without_trailing_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    return path;
}

void require_directory(fs::FileSystem& file_system, const std::string& path) {
    // A listing follows symlinks, as a user's data disk often is one.
    const auto names = file_system.list(path);
    if (names.ok()) {
        return;
    }
    const auto there = file_system.status(path);
    if (there.ok() && there.value().type == fs::EntryType::kFile) {
        fail_not_found(
            fmt::format("{} is a file: give a run directory, such as checkpoints/<name>", path));
    }
    if (names.error().kind == base::ErrorKind::kNotFound) {
        fail_not_found(fmt::format(
            "there is no directory {}: give a run directory, such as checkpoints/<name>", path));
    }
    fail(names.error());
}

std::optional<checkpoint::RunIdentity> read_identity(fs::FileSystem& file_system,
                                                     const std::string& directory,
                                                     std::vector<std::string>& notes) {
    const std::string path = fs::join(directory, std::string(checkpoint::kRunFileName));
    const auto text = fs::read_file(file_system, path, checkpoint::kManifestBytesMax);
    if (!text.ok()) {
        notes.push_back(
            text.error().kind == base::ErrorKind::kNotFound
                ? fmt::format("{} is missing: the next start of the run makes it anew", path)
                : text.error().what);
        return std::nullopt;
    }
    auto identity = checkpoint::parse_run_identity(text.value());
    if (!identity.ok()) {
        notes.push_back(fmt::format("{}: {}", path, identity.error().what));
        return std::nullopt;
    }
    return std::move(identity).value();
}

// checkpoint.backup_dir of a stored config.
std::string backup_dir_of(const checkpoint::RunIdentity& identity) {
    const auto config = nlohmann::json::parse(identity.config, nullptr, false);
    const auto found = config.is_object() ? config.find("checkpoint.backup_dir") : config.end();
    return config.is_object() && found != config.end() && found->is_string()
               ? found->get<std::string>()
               : std::string();
}

// The first line of what was written down when an entry was put aside.
std::string reason_in(fs::FileSystem& file_system, const std::string& path) {
    const auto text = fs::read_file(file_system,
                                    fs::join(path, std::string(checkpoint::kQuarantineReasonName)),
                                    checkpoint::kManifestBytesMax);
    return text.ok() ? text.value().substr(0, text.value().find('\n')) : std::string();
}

void read_quarantine(fs::FileSystem& file_system, StoredRun& run, checkpoint::Pool side) {
    const std::string folder = run.paths.quarantine(side);
    const auto names = file_system.list(folder);
    for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
        if (!checkpoint::is_quarantine_name(name)) {
            continue;
        }
        const std::string path = fs::join(folder, name);
        auto entry = checkpoint::scan_entry(file_system, path, side, {});
        if (entry.ok()) {
            run.quarantine.push_back({std::move(entry).value(),
                                      checkpoint::RunPaths::in_quarantine(side, name),
                                      reason_in(file_system, path)});
        }
    }
}

// Without a run.json the newest checkpoint says which run this is.
void adopt_run_id_of_head(StoredRun& run) {
    const Entry* head = checkpoint::find_head(run.catalog);
    if (head == nullptr) {
        return;
    }
    run.run_id = head->manifest.run_id;
    for (Entry& entry : run.catalog.entries) {
        if (entry.usable() && entry.manifest.run_id != run.run_id) {
            entry.state = EntryState::kForeign;
            entry.why = "is of run " + entry.manifest.run_id;
        }
    }
}

}  // namespace

StoredRun look_at_run(fs::FileSystem& file_system, const std::string& directory) {
    require_directory(file_system, directory);
    if (is_checkpoint(file_system, directory)) {
        fail_not_found(fmt::format(
            "{} is one checkpoint: give the run directory, which is two folders above it",
            directory));
    }
    StoredRun run;
    run.directory = directory;
    const auto identity = read_identity(file_system, directory, run.notes);
    run.paths =
        checkpoint::RunPaths::of(directory, identity ? backup_dir_of(*identity) : std::string());
    run.run_id = identity ? identity->run_id : std::string();
    run.catalog = checkpoint::scan_pools(file_system, run.paths, run.run_id);
    if (!identity) {
        adopt_run_id_of_head(run);
    }
    read_quarantine(file_system, run, checkpoint::Pool::kRolling);
    read_quarantine(file_system, run, checkpoint::Pool::kBackupRolling);
    const bool is_empty =
        run.catalog.entries.empty() && run.catalog.unreadable.empty() && run.quarantine.empty();
    if (is_empty && !identity) {
        fail_not_found(fmt::format(
            "{} is no run directory: it has neither a run.json nor checkpoints", directory));
    }
    if (is_empty) {
        fail_not_found(fmt::format("{} holds no checkpoint", directory));
    }
    const auto backup = file_system.list(run.paths.backup_directory);
    if (!backup.ok()) {
        run.notes.push_back(fmt::format("no second copies can be seen: {}", backup.error().what));
    }
    run.notes.insert(run.notes.end(), run.catalog.unreadable.begin(), run.catalog.unreadable.end());
    return run;
}

bool is_checkpoint(fs::FileSystem& file_system, const std::string& path) {
    const auto manifest =
        fs::exists(file_system, fs::join(path, std::string(checkpoint::kManifestName)));
    return manifest.ok() && manifest.value();
}

std::vector<Entry> readable_checkpoints(fs::FileSystem& file_system, const std::string& path) {
    std::string resolved = without_trailing_slashes(path);
    if (const auto target = file_system.read_symlink(resolved);
        target.ok() && is_checkpoint(file_system, resolved)) {
        resolved = fs::join(fs::parent_of(resolved), target.value());
    }
    require_directory(file_system, resolved);
    if (is_checkpoint(file_system, resolved)) {
        return {value_or_fail(checkpoint::scan_entry(
            file_system, resolved, checkpoint::Pool::kRolling, /*run_id=*/""))};
    }
    const StoredRun run = look_at_run(file_system, resolved);
    std::vector<Entry> candidates;
    for (const Entry* entry : checkpoint::resume_candidates(run.catalog)) {
        candidates.push_back(*entry);
    }
    if (candidates.empty()) {
        fail_not_found(fmt::format("{} holds no checkpoint that can be used", path));
    }
    return candidates;
}

}  // namespace holdfast::cli
