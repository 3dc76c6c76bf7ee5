#include "checkpoint/resume_load.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "checkpoint/ancestry.h"
#include "checkpoint/backup_root.h"
#include "checkpoint/quarantine.h"
#include "checkpoint/repair.h"
#include "checkpoint/run_choice.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// What became of a damaged entry.
struct Mended {
    std::optional<Repair> repair;
    std::string moved_to;  // quarantine; empty when it was repaired, or left where it is
};
// Repairs a damaged entry (its `why` says how) or moves it aside, or leaves it to others.
using Mend = std::function<Mended(const Entry&)>;

struct Found {
    Entry entry;
    std::vector<Fallback> fallbacks;
    std::vector<std::string> repairs;
};

Status try_load(fs::FileSystem& file_system, const Entry& entry, const LoadFunction& load) {
    Result<Reader> reader = Reader::open(file_system, entry.path);
    return reader.ok() ? load(entry, reader.value()) : Status(reader.error());
}

// Both tell at once: whatever becomes of the resume, the log says what was found and moved.
void pass_over(Found& found, Fallback fallback) {
    base::log_warning("{} is not used: {}{}",
                      fallback.label,
                      fallback.why,
                      fallback.moved_to.empty() ? "" : "; moved to " + fallback.moved_to);
    found.fallbacks.push_back(std::move(fallback));
}

void tell_repair(Found& found, const Repair& repair) {
    for (const std::string& line : repair.told) {
        base::log_warning("{}", line);
        found.repairs.push_back(line);
    }
}

// The first candidate that loads. A damaged one is mended and, when that repaired it, tried once
// more; what the system refuses is passed over; any other error is the caller's own and ends the
// search.
Result<Found> first_loadable(fs::FileSystem& file_system,
                             const std::vector<Entry>& candidates,
                             Found found,
                             const LoadFunction& load,
                             const Mend& mend) {
    std::optional<Error> last;
    for (const Entry& candidate : candidates) {
        found.entry = candidate;
        Status loaded = try_load(file_system, candidate, load);
        Mended mended;
        if (!loaded.ok() && loaded.error().kind == ErrorKind::kCorrupt) {
            Entry damaged = candidate;
            damaged.why = loaded.error().what;
            mended = mend(damaged);
        }
        if (mended.repair) {
            found.entry = mended.repair->entry;
            tell_repair(found, *mended.repair);
            loaded = try_load(file_system, found.entry, load);
        }
        if (loaded.ok()) {
            return found;
        }
        const Error& error = loaded.error();
        if (error.kind == ErrorKind::kInvalid) {
            return error.within(fmt::format("resuming from {}", candidate.path));
        }
        last = error;
        pass_over(found,
                  Fallback{.label = candidate.label(),
                           .why = error.what,
                           .lineage = candidate.manifest.identity.lineage,
                           .step = candidate.manifest.identity.step,
                           .moved_to = std::move(mended.moved_to)});
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

void tell_loss(const ResumedFrom& resumed) {
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
    resumed.repairs = std::move(found.repairs);
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

// A manifest of another run may lie over files of this one: then it is damage, not a guest.
void judge_foreign(fs::FileSystem& file_system, Catalog& catalog) {
    for (Entry& entry : catalog.entries) {
        if (entry.state != EntryState::kForeign) {
            continue;
        }
        Result<Reader> reader = Reader::open(file_system, entry.path);
        const Status sound = reader.ok() ? reader.value().verify() : Status(reader.error());
        if (!sound.ok() && sound.error().kind == ErrorKind::kCorrupt) {
            entry.state = EntryState::kDamaged;
            entry.why = fmt::format("{}, and {}", entry.why, sound.error().what);
            Manifest unknown;
            unknown.identity = identity_by_name(entry.name);
            entry.manifest = std::move(unknown);
        }
    }
}

// Entries whose damage shows without loading them, mended oldest first so that the newest stay
// longest in quarantine.
Found mend_known_damaged(const Catalog& catalog, const Mend& mend) {
    Found found;
    for (const Entry& entry : catalog.entries) {
        if (entry.state != EntryState::kDamaged && entry.state != EntryState::kUnreadable) {
            continue;
        }
        Mended mended = entry.state == EntryState::kDamaged ? mend(entry) : Mended{};
        if (mended.repair) {
            tell_repair(found, *mended.repair);
            continue;
        }
        pass_over(found,
                  Fallback{.label = entry.label(),
                           .why = entry.why,
                           .lineage = entry.manifest.identity.lineage,
                           .step = entry.manifest.identity.step,
                           .moved_to = std::move(mended.moved_to)});
    }
    return found;
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
    const Result<bool> set_aside = holds_quarantined(opened.run.file_system(), opened.run.paths());
    if (newest && (any(EntryState::kDamaged) || (set_aside.ok() && set_aside.value()))) {
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

// Damaged second copies are moved only in a root that is this run's.
Mended mend_in(const RunDirectory& run, const Entry& damaged) {
    Mended mended{repair_entry(run, damaged), {}};
    if (mended.repair) {
        return mended;
    }
    Status ours;
    if (is_backup(damaged.pool) && !run.paths().backup_is_inside()) {
        ours = check_backup_root(run.file_system(), run.paths(), run.identity().run_id);
    }
    Result<std::string> moved = ours.ok()
                                    ? quarantine_entry(run.file_system(), run.paths(), damaged)
                                    : Result<std::string>(ours.error());
    if (moved.ok()) {
        mended.moved_to = std::move(moved).value();
    } else {
        base::log_warning("{} stays where it is: {}", damaged.label(), moved.error().what);
    }
    return mended;
}

// Whether `backup` is the head of the run and none of its own pools has it, sound or not.
bool is_lost(const Entry& backup, const Catalog& catalog) {
    const Identity& identity = backup.manifest.identity;
    return may_continue_lineage(identity, catalog) &&
           std::none_of(catalog.entries.begin(), catalog.entries.end(), [&](const Entry& entry) {
               return !is_backup(entry.pool) && entry.manifest.identity == identity;
           });
}

// A run goes on from an entry of its own: one that only a backup holds is copied back first.
void bring_back(const RunDirectory& run, Found& found) {
    const std::string from = found.entry.label();
    Result<Entry> restored = restore_from_backup(run, found.entry);
    if (restored.ok()) {
        found.entry = std::move(restored).value();
        found.repairs.push_back(
            fmt::format("{} was gone; restored from {}", found.entry.label(), from));
    } else {
        base::log_warning("{} cannot be copied back: {}", from, restored.error().what);
    }
}

// The line that the run was on, when nothing of it can be used. `before` is what stood there before
// anything was mended.
std::optional<LostLine> lost_line_of(const RunDirectory& run,
                                     const Catalog& before,
                                     const Catalog& mended) {
    // Set aside by a start that died before it had published a line of its own. What cannot be
    // listed was told by whoever put something there.
    const auto set_aside = quarantined_identities(run.file_system(), run.paths());
    std::vector<Identity> lost = set_aside.ok() ? set_aside.value() : std::vector<Identity>{};
    for (const Entry& entry : before.entries) {
        const std::string& run_id = entry.manifest.run_id;
        if (!entry.usable() && entry.state != EntryState::kForeign &&
            (run_id.empty() || run_id == run.identity().run_id)) {
            lost.push_back(entry.manifest.identity);
        }
    }
    return find_lost_line(mended, lost);
}

// What older lines did after the fork was left behind when the lost line began.
void leave_behind(const LostLine& lost, std::vector<Entry>& candidates) {
    std::vector<Entry> before_fork = candidates;
    std::erase_if(before_fork, [&](const Entry& entry) {
        return entry.manifest.identity.step > lost.fork_step_max;
    });
    base::log_warning("no checkpoint of lineage {} can be used; it began at step {} or before: {}",
                      lost.lineage,
                      lost.fork_step_max,
                      before_fork.empty()
                          ? "nothing is left from there, so the run goes on where it was given up"
                          : "what was given up for it stays given up");
    if (!before_fork.empty()) {
        candidates = std::move(before_fork);
    }
}

}  // namespace

Result<ResumedFrom> resume_load(const OpenedRun& opened,
                                const ResumeRequest& request,
                                const LoadFunction& load) {
    const RunDirectory& run = opened.run;
    Catalog catalog = run.scan();
    const Mend mend = [&](const Entry& damaged) {
        return opened.chosen_is_external ? Mended{} : mend_in(run, damaged);
    };
    Found known;
    const bool goes_on = request.kind == ResumeKind::kAuto || request.kind == ResumeKind::kLatest;
    if (goes_on) {
        judge_foreign(run.file_system(), catalog);
        known = mend_known_damaged(catalog, mend);
    }
    const Catalog mended = known.repairs.empty() ? catalog : run.scan();
    std::vector<Entry> candidates = candidates_of(opened, request, mended);
    if (candidates.empty()) {
        return nothing_found(opened, request, catalog);
    }
    const std::optional<LostLine> lost =
        goes_on ? lost_line_of(run, catalog, mended) : std::nullopt;
    if (lost) {
        leave_behind(*lost, candidates);
    }
    Result<Found> found =
        first_loadable(run.file_system(), candidates, std::move(known), load, mend);
    if (!found.ok()) {
        return found.error();
    }
    if (is_backup(found.value().entry.pool) && request.kind != ResumeKind::kBackup &&
        !opened.chosen_is_external && is_lost(found.value().entry, run.scan())) {
        bring_back(run, found.value());
    }
    ResumedFrom resumed = outcome_of(std::move(found).value());
    const Identity& identity = resumed.entry.manifest.identity;
    const bool is_as_before = resumed.fallbacks.empty() && resumed.repairs.empty();
    const Catalog now = is_as_before ? catalog : run.scan();
    resumed.is_head = !lost && !opened.chosen_is_external && !is_backup(resumed.entry.pool) &&
                      may_continue_lineage(identity, now);
    // The first look still knows lineages whose only entry has gone to quarantine.
    resumed.next_lineage = std::max({next_lineage(catalog),
                                     next_lineage(now),
                                     identity.lineage + 1,
                                     lost ? lost->lineage + 1 : 0});
    tell_loss(resumed);
    return resumed;
}

namespace {

// What a reader finds at a path: what it may load, and what it sees to be damaged without loading.
struct Readable {
    std::vector<Entry> candidates;
    Catalog passed_over;
};

Result<Readable> readable_at(fs::FileSystem& file_system, const std::string& path) {
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
        return Readable{{std::move(entry).value()}, {}};
    }
    const Result<RunView> view = view_run(file_system, RunPaths::of(path));
    if (!view.ok()) {
        return view.error();
    }
    Catalog catalog =
        scan_pools(file_system,
                   view.value().paths,
                   view.value().identity ? view.value().identity->run_id : std::string());
    std::vector<Entry> candidates = copies(resume_candidates(catalog));
    if (candidates.empty()) {
        return Error{ErrorKind::kNotFound,
                     fmt::format("{} is neither a checkpoint nor a run with one", path),
                     0};
    }
    return Readable{std::move(candidates), std::move(catalog)};
}

}  // namespace

Result<std::vector<Entry>> candidates_at(fs::FileSystem& file_system, const std::string& path) {
    Result<Readable> readable = readable_at(file_system, path);
    if (!readable.ok()) {
        return readable.error();
    }
    return std::move(readable).value().candidates;
}

Result<ResumedFrom> load_newest(fs::FileSystem& file_system,
                                const std::string& path,
                                const LoadFunction& load) {
    const Result<Readable> readable = readable_at(file_system, path);
    if (!readable.ok()) {
        return readable.error();
    }
    const Mend leave = [](const Entry&) { return Mended{}; };
    Result<Found> found = first_loadable(file_system,
                                         readable.value().candidates,
                                         mend_known_damaged(readable.value().passed_over, leave),
                                         load,
                                         leave);
    if (!found.ok()) {
        return found.error();
    }
    ResumedFrom resumed = outcome_of(std::move(found).value());
    tell_loss(resumed);
    return resumed;
}

}  // namespace holdfast::checkpoint
