#include "checkpoint/run_choice.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::int64_t kSiblingAttempts = 1000;

// The backup folder of a sibling lies in it, unless a disk of its own was named.
RunPaths paths_like(const RunPaths& wanted, const std::string& directory) {
    return wanted.backup_is_inside() ? RunPaths::of(directory)
                                     : RunPaths{directory, wanted.backup_directory};
}

// Somebody else's, and so for good.
bool is_denied(const Error& error) {
    return error.os_errno == EACCES || error.os_errno == EPERM;
}

// Errors: a parent that cannot be read just now may hold the newest run.
Result<std::vector<std::string>> sibling_directories(fs::FileSystem& file_system,
                                                     const std::string& directory) {
    std::vector<std::string> siblings;
    const std::string parent = fs::parent_of(directory);
    const Result<std::vector<std::string>> names = file_system.list(parent);
    // One that its user may not list never shows its siblings.
    if (!names.ok() && names.error().kind != ErrorKind::kNotFound && !is_denied(names.error())) {
        return names.error();
    }
    for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
        if (is_sibling_run_name(name, fs::name_of(directory))) {
            siblings.push_back(fs::join(parent, name));
        }
    }
    // Their names carry when they were made; the newest first, the plain directory last.
    std::reverse(siblings.begin(), siblings.end());
    siblings.push_back(directory);
    return siblings;
}

Result<RunChoice> start_beside(fs::FileSystem& file_system,
                               const RunPaths& wanted,
                               std::int64_t now_utc_seconds,
                               const std::string& why) {
    for (std::int64_t i = 0; i < kSiblingAttempts; ++i) {
        const std::string directory =
            fs::join(fs::parent_of(wanted.directory),
                     sibling_run_name(fs::name_of(wanted.directory), now_utc_seconds + i));
        const Result<bool> taken = fs::exists(file_system, directory);
        if (!taken.ok()) {
            return taken.error();
        }
        if (!taken.value()) {
            RunChoice choice;
            choice.view.paths = paths_like(wanted, directory);
            choice.notes.push_back(
                fmt::format("{} {}; this run is in {}", wanted.directory, why, directory));
            return choice;
        }
    }
    return Error{ErrorKind::kExists, fmt::format("no free name beside {}", wanted.directory), 0};
}

RunChoice go_on(RunView view) {
    RunChoice choice;
    choice.fresh = !view.published;
    if (view.rebuilt) {
        choice.notes.push_back(fmt::format("{} was missing or damaged: rebuilt from a checkpoint",
                                           view.paths.in_run(kRunFileName)));
    }
    choice.view = std::move(view);
    return choice;
}

bool must_find(ResumeKind kind) {
    return kind != ResumeKind::kAuto && kind != ResumeKind::kNever;
}

// The newest second copy of the run asked for in a root outside of the run directory.
std::optional<Entry> find_backup(fs::FileSystem& file_system,
                                 const RunPaths& wanted,
                                 const IdentityDifferences& differences) {
    if (wanted.backup_is_inside()) {
        return std::nullopt;
    }
    const Catalog catalog = scan_pools(file_system, wanted, {}, kBackupPools);
    const Entry* head = find_head(catalog);
    const bool is_ours = head != nullptr && differences(run_identity_of(head->manifest)).empty();
    return is_ours ? std::optional(*head) : std::nullopt;
}

// The run is not in its directory any more, but has second copies elsewhere.
Result<RunChoice> choose_lost_run(fs::FileSystem& file_system,
                                  const ResumeRequest& request,
                                  const RunPaths& wanted,
                                  RunView own,
                                  const Entry& backup,
                                  std::int64_t now_utc_seconds) {
    const std::string what = fmt::format("{} holds nothing of this run", wanted.directory);
    if (request.kind != ResumeKind::kBackup) {
        return Error{ErrorKind::kNotFound,
                     fmt::format("{}, but {} has its second copy of step {}: go on from it with "
                                 "--resume backup (--resume never starts a new run)",
                                 what,
                                 wanted.backup_directory,
                                 backup.manifest.identity.step),
                     0};
    }
    RunChoice choice;
    if (own.published) {
        Result<RunChoice> beside = start_beside(file_system, wanted, now_utc_seconds, what);
        if (!beside.ok()) {
            return beside;
        }
        choice = std::move(beside).value();
    } else {
        choice.view = std::move(own);
    }
    choice.view.identity = run_identity_of(backup.manifest);
    choice.view.rebuilt = true;
    choice.fresh = false;
    choice.chosen_is_external = true;
    return choice;
}

Result<RunChoice> choose_in(fs::FileSystem& file_system,
                            const ResumeRequest& request,
                            const RunPaths& wanted,
                            const IdentityDifferences& differences,
                            std::int64_t now_utc_seconds) {
    RunView own;
    std::optional<RunView> unpublished;
    std::vector<std::string> why;
    const Result<std::vector<std::string>> siblings =
        sibling_directories(file_system, wanted.directory);
    if (!siblings.ok()) {
        return siblings.error();
    }
    for (const std::string& directory : siblings.value()) {
        Result<RunView> view = view_run(file_system, paths_like(wanted, directory));
        const bool is_own = directory == wanted.directory;
        if (!view.ok() && !is_own &&
            (view.error().kind == ErrorKind::kInvalid || is_denied(view.error()))) {
            continue;  // a sibling that is no run directory is none of ours
        }
        if (!view.ok()) {
            return view.error();  // what cannot be read just now may be the run that is looked for
        }
        if (view.value().identity && request.kind != ResumeKind::kNever) {
            const std::vector<std::string> differs = differences(*view.value().identity);
            if (differs.empty() && view.value().published) {
                return go_on(std::move(view).value());
            }
            if (differs.empty() && !unpublished) {
                unpublished = view.value();
            }
            why = is_own ? differs : why;
        }
        if (is_own) {
            own = std::move(view).value();
        }
    }
    if (request.kind != ResumeKind::kNever) {
        if (const auto backup = find_backup(file_system, wanted, differences)) {
            return choose_lost_run(
                file_system, request, wanted, std::move(own), *backup, now_utc_seconds);
        }
    }
    if (unpublished && !must_find(request.kind)) {
        return go_on(*std::move(unpublished));
    }
    std::string reason = "has no checkpoint";
    if (own.published) {
        reason = own.identity ? "holds another run" : "has only damaged checkpoints";
        if (!why.empty()) {
            reason += fmt::format(" ({})", fmt::join(why, "; "));
        }
    }
    if (must_find(request.kind)) {
        return Error{ErrorKind::kNotFound,
                     fmt::format("nothing to resume with --resume {}: {} {}",
                                 to_string(request),
                                 own.paths.directory,
                                 reason),
                     0};
    }
    if (own.published) {
        return start_beside(file_system, wanted, now_utc_seconds, reason);
    }
    RunChoice choice;
    choice.view = std::move(own);
    choice.view.identity.reset();
    return choice;
}

// The pool that the parent folder of an entry is, and the run directory above it.
std::optional<std::pair<std::string, Pool>> run_above(const std::string& entry_path) {
    const std::string folder = fs::parent_of(entry_path);
    const std::string above = fs::parent_of(folder);
    if (fs::name_of(above) == "backup") {
        if (const auto pool = parse_pool("backup/" + fs::name_of(folder))) {
            return std::pair(fs::parent_of(above), *pool);
        }
    }
    const auto pool = parse_pool(fs::name_of(folder));
    return pool ? std::optional(std::pair(above, *pool)) : std::nullopt;
}

Error other_run(const std::string& path, const std::vector<std::string>& differs) {
    return Error{ErrorKind::kInvalid,
                 fmt::format("{} is of another run: {}", path, fmt::join(differs, "; ")),
                 0};
}

Result<RunChoice> choose_checkpoint(fs::FileSystem& file_system,
                                    const std::string& path,
                                    const RunPaths& wanted,
                                    const IdentityDifferences& differences) {
    const auto above = run_above(path);
    Result<Entry> entry = scan_entry(file_system, path, above ? above->second : Pool::kRolling, {});
    if (!entry.ok()) {
        return entry.error();
    }
    if (!entry.value().usable()) {
        const bool damaged = entry.value().state == EntryState::kDamaged;
        return Error{damaged ? ErrorKind::kCorrupt : ErrorKind::kIo,
                     fmt::format("{} {}", path, entry.value().why),
                     0};
    }
    const RunIdentity of_entry = run_identity_of(entry.value().manifest);
    if (const auto differs = differences(of_entry); !differs.empty()) {
        return other_run(path, differs);
    }
    RunPaths paths = wanted;
    if (above) {
        const Result<bool> is_run =
            fs::exists(file_system, fs::join(above->first, std::string(kRunFileName)));
        paths = is_run.ok() && is_run.value() ? paths_like(wanted, above->first) : wanted;
    }
    Result<RunView> view = view_run(file_system, paths);
    if (!view.ok()) {
        return view.error();
    }
    const bool external = !above || paths.directory != above->first;
    if (view.value().published && view.value().identity &&
        view.value().identity->run_id != of_entry.run_id) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} is not of the run in {}: give that run another directory",
                                 path,
                                 paths.directory),
                     0};
    }
    if (!view.value().published) {
        view.value().identity = of_entry;
        view.value().rebuilt = true;
    }
    RunChoice choice;
    choice.fresh = false;
    choice.view = std::move(view).value();
    choice.chosen = std::move(entry).value();
    choice.chosen_is_external = external;
    return choice;
}

Result<RunChoice> choose_path(fs::FileSystem& file_system,
                              std::string path,
                              const RunPaths& wanted,
                              const IdentityDifferences& differences) {
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    // `<run>/latest` means the entry it points at.
    if (const Result<std::string> target = file_system.read_symlink(path); target.ok()) {
        path = fs::join(fs::parent_of(path), target.value());
    }
    const Result<bool> is_entry =
        fs::exists(file_system, fs::join(path, std::string(kManifestName)));
    if (!is_entry.ok()) {
        return is_entry.error();
    }
    if (is_entry.value()) {
        return choose_checkpoint(file_system, path, wanted, differences);
    }
    Result<RunView> view = view_run(file_system, paths_like(wanted, path));
    if (!view.ok()) {
        return view.error();
    }
    if (!view.value().published || !view.value().identity) {
        return Error{ErrorKind::kNotFound,
                     fmt::format("{} is neither a checkpoint nor a run with one", path),
                     0};
    }
    if (const auto differs = differences(*view.value().identity); !differs.empty()) {
        return other_run(path, differs);
    }
    return go_on(std::move(view).value());
}

}  // namespace

Result<RunChoice> choose_run(fs::FileSystem& file_system,
                             const ResumeRequest& request,
                             const RunPaths& wanted,
                             const IdentityDifferences& differences,
                             std::int64_t now_utc_seconds) {
    const std::string& directory =
        request.kind == ResumeKind::kPath ? request.path : wanted.directory;
    const Result<bool> is_backup_root =
        fs::exists(file_system, fs::join(directory, std::string(kBackupMarkName)));
    if (is_backup_root.ok() && is_backup_root.value()) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{0} holds second copies and is no run directory: give it as "
                                 "--backup-dir {0}, with --resume backup to go on from them",
                                 directory),
                     0};
    }
    return request.kind == ResumeKind::kPath
               ? choose_path(file_system, request.path, wanted, differences)
               : choose_in(file_system, request, wanted, differences, now_utc_seconds);
}

}  // namespace holdfast::checkpoint
