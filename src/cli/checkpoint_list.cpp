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
#include "telemetry/metrics_log.h"

namespace holdfast::cli {

namespace {

using checkpoint::Catalog;
using checkpoint::Entry;
using checkpoint::EntryState;

struct Totals {
    std::uint64_t bytes = 0;  // files of several names counted once
    std::uint64_t available_bytes = 0;
};

struct Listing {
    std::string directory;
    Catalog catalog;
    Totals totals;
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

// A checkpoint is saved before its evaluation, so its loss stands elsewhere: in the log, where the
// manifest says that the line of its step begins (unless a rollback has cut it away since), and, if
// it was the best so far, in the manifests after it.
std::optional<double> val_loss_of(const Entry& entry, const Listing& listing) {
    const auto line = telemetry::read_line_at(
        fs::real_file_system(),
        checkpoint::RunPaths::of(listing.directory).in_run(checkpoint::kLogName),
        entry.manifest.log.bytes);
    const auto saved_line = telemetry::parse_step_metrics(entry.manifest.metrics_line);
    if (line && saved_line.ok() &&
        telemetry::to_manifest_json(*line) == telemetry::to_manifest_json(saved_line.value())) {
        return line->val_loss();
    }
    for (const Entry& other : listing.catalog.entries) {
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
                const Listing& listing,
                const std::string& label,
                std::int64_t now) {
    if (!entry.usable()) {
        return fmt::format("  {:<38} {}\n", label, state_word(entry));
    }
    const std::optional<double> val_loss = val_loss_of(entry, listing);
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

void print_table(const Listing& listing) {
    const Catalog& catalog = listing.catalog;
    const std::int64_t now = base::utc_seconds_now();
    fmt::print("{}\n  {:<38} {:>9} {:>9} {:>9} {:>9}  {:<20}  {}\n",
               listing.directory,
               "",
               "step",
               "val loss",
               "size",
               "shared",
               "saved (UTC)",
               "age");
    if (const Entry* latest = latest_of(catalog)) {
        fmt::print("{}", row(*latest, listing, "latest = " + latest->label(), now));
    }
    if (const Entry* best = current_best(catalog)) {
        fmt::print("{}", row(*best, listing, "best = " + best->label(), now));
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
            fmt::print("{}", row(entry, listing, entry.name, now));
        }
    }
    fmt::print("total {} on disk, {} free\n",
               base::bytes_in_words(listing.totals.bytes),
               base::bytes_in_words(listing.totals.available_bytes));
    for (const std::string& unreadable : catalog.unreadable) {
        fmt::print("{}\n", unreadable);
    }
}

void print_json(const Listing& listing) {
    const Catalog& catalog = listing.catalog;
    nlohmann::ordered_json report;
    report["directory"] = listing.directory;
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
            const std::optional<double> val_loss = val_loss_of(entry, listing);
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
    report["total_bytes"] = listing.totals.bytes;
    report["available_bytes"] = listing.totals.available_bytes;
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
    Listing listing;
    listing.directory = run_directory;
    listing.catalog =
        checkpoint::scan_pools(file_system, checkpoint::RunPaths::of(run_directory), /*run_id=*/"");
    if (listing.catalog.entries.empty() && listing.catalog.unreadable.empty()) {
        fail({base::ErrorKind::kNotFound, fmt::format("{} holds no checkpoint", run_directory), 0});
    }
    listing.totals = totals_of(file_system, run_directory, listing.catalog);
    if (as_json) {
        print_json(listing);
    } else {
        print_table(listing);
    }
    return base::ExitCode::kDone;
}

}  // namespace holdfast::cli
