#include "checkpoint/resume_load.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "checkpoint/ancestry.h"
#include "checkpoint/quarantine.h"
#include "checkpoint/run_choice.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Moves a damaged entry aside; answers where to, or nothing when that failed or is not wanted.
using SetAside = std::function<std::string(const Entry&)>;

struct Found {
    Entry entry;
    std::vector<Fallback> fallbacks;
};

Status try_load(fs::FileSystem& file_system, const Entry& entry, const LoadFunction& load) {
    Result<Reader> reader = Reader::open(file_system, entry.path);
    return reader.ok() ? load(entry, reader.value()) : Status(reader.error());
}

// The first candidate that loads. Damage moves the candidate aside; what the system refuses is
// passed over; any other error is the caller's own and ends the search.
Result<Found> first_loadable(fs::FileSystem& file_system,
                             const std::vector<Entry>& candidates,
                             std::vector<Fallback> fallbacks,
                             const LoadFunction& load,
                             const SetAside& set_aside) {
    std::optional<Error> last;
    for (const Entry& entry : candidates) {
        const Status loaded = try_load(file_system, entry, load);
        if (loaded.ok()) {
            return Found{entry, std::move(fallbacks)};
        }
        const Error& error = loaded.error();
        const bool skip = error.kind == ErrorKind::kCorrupt || error.kind == ErrorKind::kIo ||
                          error.kind == ErrorKind::kNotFound;
        if (!skip) {
            return error.within(fmt::format("resuming from {}", entry.path));
        }
        last = error;
        fallbacks.push_back(Fallback{
            .label = entry.label(),
            .why = error.what,
            .lineage = entry.manifest.identity.lineage,
            .step = entry.manifest.identity.step,
            .moved_to = error.kind == ErrorKind::kCorrupt ? set_aside(entry) : std::string()});
    }
    if (!last) {
        return Error{ErrorKind::kNotFound, "there is no checkpoint to load", 0};
    }
    return Error{last->kind,
                 fmt::format("none of {} checkpoints could be loaded; the last one tried: {}",
                             candidates.size(),
                             last->what),
                 last->os_errno};
}

// The newest entry passed over that stands after the one loaded; null when there is none.
const Fallback* newest_passed_over(const ResumedFrom& resumed) {
    const Identity& loaded = resumed.entry.manifest.identity;
    std::pair newest(loaded.lineage, loaded.step);
    const Fallback* found = nullptr;
    for (const Fallback& fallback : resumed.fallbacks) {
        const std::pair order(fallback.lineage, fallback.step);
        if (order > newest) {
            newest = order;
            found = &fallback;
        }
    }
    return found;
}

void tell(const ResumedFrom& resumed) {
    for (const Fallback& fallback : resumed.fallbacks) {
        base::log_warning("{} is not used: {}{}",
                          fallback.label,
                          fallback.why,
                          fallback.moved_to.empty() ? "" : "; moved to " + fallback.moved_to);
    }
    if (const Fallback* from = newest_passed_over(resumed)) {
        base::log_warning("fell back from {} to {}: {} steps are lost and will be done again",
                          from->label,
                          resumed.entry.label(),
                          resumed.steps_lost);
    }
}

ResumedFrom outcome_of(Found found) {
    ResumedFrom resumed;
    resumed.entry = std::move(found.entry);
    resumed.fallbacks = std::move(found.fallbacks);
    if (const Fallback* from = newest_passed_over(resumed)) {
        resumed.steps_lost =
            std::max<std::int64_t>(from->step - resumed.entry.manifest.identity.step, 0);
    }
    return resumed;
}

std::vector<Entry> copies(const std::vector<const Entry*>& entries) {
    std::vector<Entry> result;
    result.reserve(entries.size());
    for (const Entry* entry : entries) {
        result.push_back(*entry);
    }
    return result;
}

// The copies of the n-th best (0: the current) in whatever pool, the one in `best` first.
std::vector<Entry> nth_best(const Catalog& catalog, std::size_t n) {
    const std::vector<const Entry*> line = resume_candidates(catalog);
    std::vector<Identity> bests;
    for (const Entry* entry : line) {
        const Identity& identity = entry->manifest.identity;
        if (entry->pool == Pool::kBest &&
            std::find(bests.begin(), bests.end(), identity) == bests.end()) {
            bests.push_back(identity);
        }
    }
    std::vector<Entry> result;
    for (const Entry* entry : line) {
        if (n < bests.size() && entry->manifest.identity == bests[n]) {
            result.push_back(*entry);
        }
    }
    std::stable_partition(
        result.begin(), result.end(), [](const Entry& entry) { return entry.pool == Pool::kBest; });
    return result;
}

// All copies of a step, those of the current line first, then the newest lineage.
std::vector<Entry> of_step(const Catalog& catalog, std::int64_t step) {
    std::vector<Entry> result;
    for (const Entry* entry : resume_candidates(catalog)) {
        if (entry->manifest.identity.step == step) {
            result.push_back(*entry);
        }
    }
    for (auto entry = catalog.entries.rbegin(); entry != catalog.entries.rend(); ++entry) {
        const bool taken = std::any_of(result.begin(), result.end(), [&](const Entry& other) {
            return other.path == entry->path;
        });
        if (entry->usable() && entry->manifest.identity.step == step && !taken) {
            result.push_back(*entry);
        }
    }
    return result;
}

std::vector<Entry> candidates_of(const OpenedRun& opened,
                                 const ResumeRequest& request,
                                 const Catalog& catalog) {
    switch (request.kind) {
        case ResumeKind::kBest:
            return nth_best(catalog, 0);
        case ResumeKind::kPreviousBest:
            return nth_best(catalog, 1);
        case ResumeKind::kStep:
            return of_step(catalog, request.step);
        case ResumeKind::kBackup: {
            std::vector<Entry> line = copies(resume_candidates(catalog));
            std::erase_if(line, [](const Entry& entry) { return !is_backup(entry.pool); });
            return line;
        }
        case ResumeKind::kPath:
            if (opened.chosen) {
                return {*opened.chosen};
            }
            break;
        default:
            break;
    }
    return copies(resume_candidates(catalog));
}

// Entries whose damage shows without a look at their bytes, set aside oldest first so that the
// newest stay longest in quarantine; told newest first.
std::vector<Fallback> set_known_damaged_aside(const Catalog& catalog, const SetAside& set_aside) {
    std::vector<Fallback> fallbacks;
    for (const Entry& entry : catalog.entries) {
        if (entry.state == EntryState::kDamaged || entry.state == EntryState::kUnreadable) {
            fallbacks.push_back(Fallback{.label = entry.label(),
                                         .why = entry.why,
                                         .step = entry.manifest.identity.step,
                                         .moved_to = entry.state == EntryState::kDamaged
                                                         ? set_aside(entry)
                                                         : std::string()});
        }
    }
    std::reverse(fallbacks.begin(), fallbacks.end());
    return fallbacks;
}

Error nothing_found(const OpenedRun& opened, const ResumeRequest& request, const Catalog& catalog) {
    const auto any = [&](EntryState state) {
        return std::any_of(catalog.entries.begin(), catalog.entries.end(), [&](const Entry& entry) {
            return entry.state == state;
        });
    };
    const std::string& directory = opened.run.paths().directory;
    const bool newest = request.kind == ResumeKind::kAuto || request.kind == ResumeKind::kLatest;
    if (newest && any(EntryState::kUnreadable)) {
        return Error{
            ErrorKind::kIo, fmt::format("no checkpoint in {} can be read just now", directory), 0};
    }
    if (newest && any(EntryState::kDamaged)) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("every checkpoint in {} is damaged; they are in its quarantine "
                                 "folder; --resume never starts a fresh run",
                                 directory),
                     0};
    }
    return Error{ErrorKind::kNotFound,
                 fmt::format("--resume {}: {} has no such checkpoint; `holdfast checkpoints list "
                             "{}` shows what is there",
                             to_string(request),
                             directory,
                             directory),
                 0};
}

}  // namespace

Result<ResumedFrom> resume_load(const OpenedRun& opened,
                                const ResumeRequest& request,
                                const LoadFunction& load) {
    const RunDirectory& run = opened.run;
    const Catalog catalog = run.scan();
    const SetAside set_aside = [&](const Entry& entry) -> std::string {
        if (opened.chosen_is_external) {
            return {};
        }
        Result<std::string> moved = quarantine_entry(run.file_system(), run.paths(), entry);
        if (!moved.ok()) {
            base::log_warning("{} stays where it is: {}", entry.label(), moved.error().what);
            return {};
        }
        return std::move(moved).value();
    };
    std::vector<Fallback> fallbacks;
    if (request.kind == ResumeKind::kAuto || request.kind == ResumeKind::kLatest) {
        fallbacks = set_known_damaged_aside(catalog, set_aside);
    }
    const std::vector<Entry> candidates = candidates_of(opened, request, catalog);
    if (candidates.empty()) {
        return nothing_found(opened, request, catalog);
    }
    Result<Found> found =
        first_loadable(run.file_system(), candidates, std::move(fallbacks), load, set_aside);
    if (!found.ok()) {
        return found.error();
    }
    ResumedFrom resumed = outcome_of(std::move(found).value());
    const Identity& identity = resumed.entry.manifest.identity;
    const Catalog now = run.scan();
    resumed.is_head = !opened.chosen_is_external && may_continue_lineage(identity, now);
    // The first look still knows lineages whose only entry has gone to quarantine.
    resumed.next_lineage =
        std::max({next_lineage(catalog), next_lineage(now), identity.lineage + 1});
    tell(resumed);
    return resumed;
}

Result<std::vector<Entry>> candidates_at(fs::FileSystem& file_system, const std::string& path) {
    const Result<bool> is_entry =
        fs::exists(file_system, fs::join(path, std::string(kManifestName)));
    if (!is_entry.ok()) {
        return is_entry.error();
    }
    if (is_entry.value()) {
        Result<Entry> entry = scan_entry(file_system, path, Pool::kRolling, {});
        if (!entry.ok()) {
            return entry.error();
        }
        return std::vector<Entry>{std::move(entry).value()};
    }
    const Result<RunView> view = view_run(file_system, RunPaths::of(path));
    if (!view.ok()) {
        return view.error();
    }
    const Catalog catalog =
        scan_pools(file_system,
                   view.value().paths,
                   view.value().identity ? view.value().identity->run_id : std::string());
    std::vector<Entry> candidates = copies(resume_candidates(catalog));
    if (candidates.empty()) {
        return Error{ErrorKind::kNotFound,
                     fmt::format("{} is neither a checkpoint nor a run with one", path),
                     0};
    }
    return candidates;
}

Result<ResumedFrom> load_newest(fs::FileSystem& file_system,
                                const std::string& path,
                                const LoadFunction& load) {
    const Result<std::vector<Entry>> candidates = candidates_at(file_system, path);
    if (!candidates.ok()) {
        return candidates.error();
    }
    Result<Found> found = first_loadable(
        file_system, candidates.value(), {}, load, [](const Entry&) { return std::string(); });
    if (!found.ok()) {
        return found.error();
    }
    ResumedFrom resumed = outcome_of(std::move(found).value());
    tell(resumed);
    return resumed;
}

}  // namespace holdfast::checkpoint
