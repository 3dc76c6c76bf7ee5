#include "cli/checkpoint_list.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/words.h"
#include "checkpoint/ancestry.h"
#include "checkpoint/catalog.h"
#include "cli/command.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {

namespace {

using checkpoint::Catalog;
using checkpoint::Entry;
using checkpoint::EntryState;

struct Totals {
    std::uint64_t bytes = 0;  // files of several names counted once
    std::uint64_t available_bytes = 0;
};

Totals totals_of(fs::FileSystem& file_system,
                 const std::string& directory,
                 const Catalog& catalog) {
    Totals totals;
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    for (const Entry& entry : catalog.entries) {
        if (seen.emplace(entry.device, entry.inode).second) {
            totals.bytes += entry.bytes;
        }
    }
    const auto space = file_system.space(directory);
    totals.available_bytes = space.ok() ? space.value().available_bytes : 0;
    return totals;
}

// The loss that made an entry best stands in the first manifest after its evaluation; the log has
// them all, but a list must not depend on it: newer manifests name the best so far.
std::optional<double> val_loss_of(const Entry& entry, const Catalog& catalog) {
    for (const Entry& other : catalog.entries) {
        if (other.usable() && other.manifest.best &&
            other.manifest.best->step == entry.manifest.identity.step) {
            return other.manifest.best->val_loss;
        }
    }
    return std::nullopt;
}

const Entry* current_best(const Catalog& catalog) {
    const Entry* best = nullptr;
    for (const Entry& entry : catalog.entries) {
        if (entry.usable() && entry.pool == checkpoint::Pool::kBest) {
            best = &entry;  // sorted by (lineage, step): the last is the newest best
        }
    }
    return best;
}

// What `--resume latest` would take first; null when nothing is usable.
const Entry* latest_of(const Catalog& catalog) {
    const std::vector<const Entry*> candidates = checkpoint::resume_candidates(catalog);
    return candidates.empty() ? nullptr : candidates.front();
}

std::string state_word(const Entry& entry) {
    switch (entry.state) {
        case EntryState::kPublished:
            return "";
        case EntryState::kDamaged:
            return "damaged: " + entry.why;
        case EntryState::kUnreadable:
            return "unreadable now: " + entry.why;
        case EntryState::kForeign:
            return "of another run";
    }
    return "";
}

std::string row(const Entry& entry,
                const Catalog& catalog,
                const std::string& label,
                std::int64_t now) {
    if (!entry.usable()) {
        return fmt::format("  {:<38} {}\n", label, state_word(entry));
    }
    const std::optional<double> val_loss = val_loss_of(entry, catalog);
    const auto age =
        static_cast<double>(std::max<std::int64_t>(0, now - entry.manifest.created_utc_seconds));
    return fmt::format("  {:<38} {:>9} {:>9} {:>9} {:>9}  {}  {} ago\n",
                       label,
                       entry.manifest.identity.step,
                       val_loss ? fmt::format("{:.4f}", *val_loss) : "-",
                       base::bytes_in_words(entry.bytes),
                       entry.shared_bytes > 0 ? base::bytes_in_words(entry.shared_bytes) : "-",
                       base::utc_iso8601(entry.manifest.created_utc_seconds),
                       base::duration_in_words(age));
}

void print_table(const std::string& directory, const Catalog& catalog, const Totals& totals) {
    const std::int64_t now = base::utc_seconds_now();
    fmt::print("{}\n  {:<38} {:>9} {:>9} {:>9} {:>9}  {:<20}  {}\n",
               directory,
               "",
               "step",
               "val loss",
               "size",
               "shared",
               "saved (UTC)",
               "age");
    if (const Entry* latest = latest_of(catalog)) {
        fmt::print("{}", row(*latest, catalog, "latest = " + latest->label(), now));
    }
    if (const Entry* best = current_best(catalog)) {
        fmt::print("{}", row(*best, catalog, "best = " + best->label(), now));
    }
    for (const checkpoint::Pool pool : checkpoint::kAllPools) {
        bool first = true;
        for (const Entry& entry : catalog.entries) {
            if (entry.pool != pool) {
                continue;
            }
            if (std::exchange(first, false)) {
                fmt::print("{}\n", checkpoint::to_string(pool));
            }
            fmt::print("{}", row(entry, catalog, entry.name, now));
        }
    }
    fmt::print("total {} on disk, {} free\n",
               base::bytes_in_words(totals.bytes),
               base::bytes_in_words(totals.available_bytes));
    for (const std::string& unreadable : catalog.unreadable) {
        fmt::print("{}\n", unreadable);
    }
}

void print_json(const std::string& directory, const Catalog& catalog, const Totals& totals) {
    nlohmann::ordered_json report;
    report["directory"] = directory;
    const Entry* latest = latest_of(catalog);
    report["latest"] =
        latest == nullptr ? nlohmann::ordered_json() : nlohmann::ordered_json(latest->label());
    const Entry* best = current_best(catalog);
    report["best"] =
        best == nullptr ? nlohmann::ordered_json() : nlohmann::ordered_json(best->label());
    report["checkpoints"] = nlohmann::ordered_json::array();
    for (const Entry& entry : catalog.entries) {
        nlohmann::ordered_json item = {{"pool", checkpoint::to_string(entry.pool)},
                                       {"name", entry.name},
                                       {"path", entry.path},
                                       {"usable", entry.usable()}};
        if (!entry.usable()) {
            item["why"] = state_word(entry);
        } else {
            const std::optional<double> val_loss = val_loss_of(entry, catalog);
            item["lineage"] = entry.manifest.identity.lineage;
            item["step"] = entry.manifest.identity.step;
            item["val_loss"] =
                val_loss ? nlohmann::ordered_json(*val_loss) : nlohmann::ordered_json();
            item["tokens"] = entry.manifest.tokens;
            item["bytes"] = entry.bytes;
            item["shared_bytes"] = entry.shared_bytes;
            item["saved_utc"] = base::utc_iso8601(entry.manifest.created_utc_seconds);
        }
        report["checkpoints"].push_back(std::move(item));
    }
    report["total_bytes"] = totals.bytes;
    report["available_bytes"] = totals.available_bytes;
    fmt::print("{}\n", report.dump(2));
}

}  // namespace

base::ExitCode list_checkpoints(const std::string& run_directory, bool as_json) {
    fs::FileSystem& file_system = fs::real_file_system();
    const auto there = fs::exists(file_system, run_directory);
    if (!there.ok() || !there.value()) {
        fail({base::ErrorKind::kNotFound,
              fmt::format("there is no run in {}: give the run directory (checkpoints/<name>)",
                          run_directory),
              0});
    }
    const Catalog catalog =
        checkpoint::scan_pools(file_system, checkpoint::RunPaths::of(run_directory), /*run_id=*/"");
    if (catalog.entries.empty() && catalog.unreadable.empty()) {
        fail({base::ErrorKind::kNotFound, fmt::format("{} holds no checkpoint", run_directory), 0});
    }
    const Totals totals = totals_of(file_system, run_directory, catalog);
    if (as_json) {
        print_json(run_directory, catalog, totals);
    } else {
        print_table(run_directory, catalog, totals);
    }
    return base::ExitCode::kDone;
}

}  // namespace holdfast::cli
