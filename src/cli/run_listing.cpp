#include "cli/run_listing.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "checkpoint/ancestry.h"
#include "cli/command.h"
#include "telemetry/metrics_log.h"

namespace holdfast::cli {

using checkpoint::Entry;
using checkpoint::StoredKind;

namespace {

// A checkpoint is saved before its evaluation, so its loss stands elsewhere: in the log, where the
// manifest says that the line of its step begins (unless a rollback has cut it away since), and, if
// it was the best so far, in the manifests after it.
class LossFinder {
public:
    LossFinder(fs::FileSystem& file_system, const StoredRun& run)
        : file_system_(file_system), log_path_(run.paths.in_run(checkpoint::kLogName)) {
        for (const Entry& entry : run.catalog.entries) {
            if (entry.usable() && entry.manifest.best) {
                bests_[entry.manifest.best->step].push_back(&entry);
            }
        }
    }

    [[nodiscard]] std::optional<double> find(const Entry& entry) {
        // The entries of one save share what is known of it.
        const auto known = known_.find(entry.manifest.identity);
        if (known != known_.end()) {
            return known->second;
        }
        std::optional<double> loss = from_log(entry);
        loss = loss ? loss : from_later_manifest(entry);
        known_.emplace(entry.manifest.identity, loss);
        return loss;
    }

private:
    [[nodiscard]] std::optional<double> from_log(const Entry& entry) const {
        const auto line =
            telemetry::read_line_at(file_system_, log_path_, entry.manifest.log.bytes);
        const auto saved_line = telemetry::parse_step_metrics(entry.manifest.metrics_line);
        const bool is_same =
            line && saved_line.ok() &&
            telemetry::to_manifest_json(*line) == telemetry::to_manifest_json(saved_line.value());
        return is_same ? line->val_loss() : std::nullopt;
    }

    [[nodiscard]] std::optional<double> from_later_manifest(const Entry& entry) const {
        const auto found = bests_.find(entry.manifest.identity.step);
        if (found == bests_.end()) {
            return std::nullopt;
        }
        // Another lineage may have come by this step with another loss.
        for (const Entry* later : found->second) {
            if (checkpoint::is_on_line(entry.manifest.identity, later->manifest)) {
                return later->manifest.best->val_loss;
            }
        }
        return std::nullopt;
    }

    fs::FileSystem& file_system_;
    std::string log_path_;
    std::map<std::int64_t, std::vector<const Entry*>> bests_;  // by the step of the best
    std::map<checkpoint::Identity, std::optional<double>> known_;
};

std::optional<std::size_t> index_of(const StoredRun& run, const Entry* entry) {
    return entry == nullptr
               ? std::nullopt
               : std::optional(static_cast<std::size_t>(entry - run.catalog.entries.data()));
}

std::optional<DiskSpace> disk_of(fs::FileSystem& file_system, const std::string& path) {
    const auto space = file_system.space(path);
    return space.ok() ? std::optional(DiskSpace{path, space.value()}) : std::nullopt;
}

void find_latest_and_best(RunListing& listing) {
    for (const Entry* entry : checkpoint::resume_candidates(listing.run.catalog)) {
        const std::optional<std::size_t> index = index_of(listing.run, entry);
        listing.latest = listing.latest ? listing.latest : index;
        if (entry->pool == checkpoint::Pool::kBest) {
            listing.best = index;
            break;
        }
    }
}

}  // namespace

double DiskSpace::full_percent() const {
    return space.total_bytes == 0 ? 0.0
                                  : 100.0 * (1.0 - static_cast<double>(space.available_bytes) /
                                                       static_cast<double>(space.total_bytes));
}

std::uint64_t RunListing::disk_bytes(StoredKind kind) const {
    std::vector<checkpoint::StoredItem> of_kind;
    std::copy_if(items.begin(), items.end(), std::back_inserter(of_kind), [&](const auto& item) {
        return item.kind == kind;
    });
    return checkpoint::disk_bytes_of(of_kind);
}

bool RunListing::has_superseded() const {
    return std::any_of(checkpoints.begin(), checkpoints.end(), [](const auto& listed) {
        return listed.is_superseded;
    });
}

RunListing list_run(fs::FileSystem& file_system, const std::string& directory) {
    RunListing listing;
    listing.run = look_at_run(file_system, directory);
    const StoredRun& run = listing.run;
    const Entry* head = checkpoint::find_head(run.catalog);
    LossFinder losses(file_system, run);
    for (const Entry& entry : run.catalog.entries) {
        const bool is_known = entry.usable() && head != nullptr;
        listing.checkpoints.push_back(
            {.entry = entry,
             .val_loss = is_known ? losses.find(entry) : std::nullopt,
             .is_superseded = is_known && checkpoint::is_superseded(entry, *head)});
    }
    find_latest_and_best(listing);
    listing.items = value_or_fail(checkpoint::stored_items(file_system, run.paths, run.catalog));
    listing.disk = disk_of(file_system, run.paths.directory);
    const bool is_elsewhere =
        run.paths.backup_directory != checkpoint::RunPaths::of(directory).backup_directory;
    if (is_elsewhere) {
        listing.backup_disk = disk_of(file_system, run.paths.backup_directory);
    }
    return listing;
}

}  // namespace holdfast::cli
