#include "cli/checkpoints_list.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/words.h"
#include "cli/checkpoints_action.h"
#include "cli/command.h"
#include "cli/run_listing.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {

namespace {

using checkpoint::Entry;
using checkpoint::EntryState;
using checkpoint::StoredKind;
using Json = nlohmann::ordered_json;

const std::array kOptions = {
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

std::string state_text(const Entry& entry) {
    switch (entry.state) {
        case EntryState::kPublished:
            return "";
        case EntryState::kDamaged:
            return "damaged: " + entry.why;
        case EntryState::kUnreadable:
            return "cannot be read now: " + entry.why;
        case EntryState::kForeign:
            return "of another run: " + entry.manifest.run_id;
    }
    return "";
}

// What was written down when it was put aside, else what can be seen now.
std::string why_put_aside(const PutAside& aside) {
    if (!aside.reason.empty()) {
        return aside.reason;
    }
    return aside.entry.usable() ? "put aside as damaged; `checkpoints verify` says where"
                                : state_text(aside.entry);
}

std::string bytes_or_dash(std::uint64_t bytes) {
    return bytes > 0 ? base::bytes_in_words(bytes) : "-";
}

// "2026-11-22 14:05", to the minute.
std::string minute_of(std::int64_t utc_seconds) {
    std::string text = base::utc_iso8601(utc_seconds).substr(0, 16);
    text[10] = ' ';
    return text;
}

// The order of the groups, and their titles.
constexpr std::array kGroups{checkpoint::Pool::kBest,
                             checkpoint::Pool::kRolling,
                             checkpoint::Pool::kEmergency,
                             checkpoint::Pool::kEpoch,
                             checkpoint::Pool::kKeep,
                             checkpoint::Pool::kBackupRolling,
                             checkpoint::Pool::kBackupBest};

// Before a name. A word behind the row would not fit into a line of 100.
constexpr char kCurrent = '*';
constexpr char kSuperseded = '~';

class Table {
public:
    explicit Table(const RunListing& listing) : listing_(listing), now_(base::utc_seconds_now()) {
        for (const ListedCheckpoint& listed : listing.checkpoints) {
            name_width_ = std::max(name_width_, listed.entry.name.size());
        }
    }

    void print() const {
        print_heading();
        if (listing_.latest) {
            const ListedCheckpoint& latest = at(*listing_.latest);
            fmt::print(
                "latest ({})\n{}", checkpoint::to_string(latest.entry.pool), row(latest, ' '));
        }
        for (const checkpoint::Pool pool : kGroups) {
            print_group(pool);
        }
        print_quarantine();
        print_legend();
        print_totals();
        for (const std::string& note : listing_.run.notes) {
            fmt::print("note: {}\n", note);
        }
    }

private:
    [[nodiscard]] const ListedCheckpoint& at(std::size_t index) const {
        return listing_.checkpoints[index];
    }

    void print_heading() const {
        std::string what = fmt::format("{} entries", listing_.checkpoints.size());
        if (listing_.latest) {
            what +=
                fmt::format(", newest step {}", at(*listing_.latest).entry.manifest.identity.step);
        }
        fmt::print("{}: run {}, {}\n\n", listing_.run.directory, listing_.run.run_id, what);
        fmt::print("  {:<{}} {:>8}  {:>8} {:>9} {:>9}  {:<16}  {:>6}\n",
                   "",
                   name_width_,
                   "step",
                   "val loss",
                   "own",
                   "shared",
                   "saved (UTC)",
                   "age");
    }

    [[nodiscard]] std::string row(const ListedCheckpoint& listed, char mark) const {
        const Entry& entry = listed.entry;
        if (!entry.usable()) {
            return fmt::format("  {:<{}}  {}\n", entry.name, name_width_, state_text(entry));
        }
        const checkpoint::Manifest& manifest = entry.manifest;
        const auto age =
            static_cast<double>(std::max<std::int64_t>(0, now_ - manifest.created_utc_seconds));
        return fmt::format("{} {:<{}} {:>8}  {:>8} {:>9} {:>9}  {:<16}  {:>6}\n",
                           mark,
                           entry.name,
                           name_width_,
                           manifest.identity.step,
                           listed.val_loss ? fmt::format("{:.4f}", *listed.val_loss) : "-",
                           bytes_or_dash(listed.own_bytes()),
                           bytes_or_dash(entry.shared_bytes),
                           minute_of(manifest.created_utc_seconds),
                           base::duration_in_words(age));
    }

    [[nodiscard]] char mark_of(std::size_t index) const {
        if (at(index).is_superseded) {
            return kSuperseded;
        }
        return listing_.best == index ? kCurrent : ' ';
    }

    void print_group(checkpoint::Pool pool) const {
        bool is_first = true;
        for (std::size_t i = 0; i < listing_.checkpoints.size(); ++i) {
            if (at(i).entry.pool != pool) {
                continue;
            }
            if (std::exchange(is_first, false)) {
                fmt::print("{}\n", checkpoint::to_string(pool));
            }
            fmt::print("{}", row(at(i), mark_of(i)));
        }
    }

    void print_legend() const {
        if (listing_.best) {
            fmt::print("\n{} the best now\n", kCurrent);
        }
        if (listing_.has_superseded()) {
            fmt::print("{}{} superseded: a rollback left it behind\n",
                       listing_.best ? "" : "\n",
                       kSuperseded);
        }
    }

    void print_quarantine() const {
        if (!listing_.run.quarantine.empty()) {
            fmt::print("quarantine\n");
        }
        for (const PutAside& aside : listing_.run.quarantine) {
            fmt::print("  {:<{}}  {}\n", aside.entry.name, name_width_, why_put_aside(aside));
        }
    }

    void print_totals() const {
        std::string parts;
        for (const auto& [kind, name] : {std::pair{StoredKind::kEntry, "pools"},
                                         std::pair{StoredKind::kQuarantine, "quarantine"},
                                         std::pair{StoredKind::kTrash, ".trash"},
                                         std::pair{StoredKind::kPending, ".pending"}}) {
            const std::uint64_t bytes = listing_.disk_bytes(kind);
            if (kind == StoredKind::kEntry || bytes > 0) {
                parts += fmt::format(
                    "{}{} {}", parts.empty() ? "" : ", ", name, base::bytes_in_words(bytes));
            }
        }
        fmt::print("\non disk   {}, shared files counted once ({})\n",
                   base::bytes_in_words(checkpoint::disk_bytes_of(listing_.items)),
                   parts);
        for (const auto& [disk, name] :
             {std::pair{&listing_.disk, "disk"}, std::pair{&listing_.backup_disk, "backups"}}) {
            if (*disk) {
                fmt::print("{:<9} {} free of {}, {:.0f} % full\n",
                           name,
                           base::bytes_in_words((*disk)->space.available_bytes),
                           base::bytes_in_words((*disk)->space.total_bytes),
                           (*disk)->full_percent());
            }
        }
    }

    const RunListing& listing_;
    std::int64_t now_;
    std::size_t name_width_ = 22;
};

Json json_of(const ListedCheckpoint& listed, std::int64_t now) {
    const Entry& entry = listed.entry;
    Json item = {{"pool", checkpoint::to_string(entry.pool)},
                 {"name", entry.name},
                 {"path", entry.path},
                 {"usable", entry.usable()}};
    if (!entry.usable()) {
        item["why"] = state_text(entry);
        return item;
    }
    const checkpoint::Manifest& manifest = entry.manifest;
    item["lineage"] = manifest.identity.lineage;
    item["step"] = manifest.identity.step;
    item["save_id"] = manifest.identity.save_id;
    item["superseded"] = listed.is_superseded;
    item["phase"] = manifest.phase;
    item["epoch"] = manifest.cursor.epoch;
    item["tokens"] = manifest.tokens;
    item["val_loss"] = listed.val_loss ? Json(*listed.val_loss) : Json();
    item["evaluation_due"] = manifest.evaluation == checkpoint::EvaluationState::kDue;
    item["bytes"] = entry.bytes;
    item["own_bytes"] = listed.own_bytes();
    item["shared_bytes"] = entry.shared_bytes;
    item["saved_utc"] = base::utc_iso8601(manifest.created_utc_seconds);
    item["age_seconds"] = std::max<std::int64_t>(0, now - manifest.created_utc_seconds);
    return item;
}

Json json_of(const DiskSpace& disk) {
    return {{"path", disk.path},
            {"total_bytes", disk.space.total_bytes},
            {"available_bytes", disk.space.available_bytes},
            {"full_percent", disk.full_percent()}};
}

void print_json(const RunListing& listing) {
    const std::int64_t now = base::utc_seconds_now();
    const auto label_of = [&](const std::optional<std::size_t>& index) {
        return index ? Json(listing.checkpoints[*index].entry.label()) : Json();
    };
    Json report;
    report["directory"] = listing.run.directory;
    report["run_id"] = listing.run.run_id;
    report["latest"] = label_of(listing.latest);
    report["best"] = label_of(listing.best);
    report["checkpoints"] = Json::array();
    for (const ListedCheckpoint& listed : listing.checkpoints) {
        report["checkpoints"].push_back(json_of(listed, now));
    }
    report["quarantine"] = Json::array();
    for (const PutAside& aside : listing.run.quarantine) {
        report["quarantine"].push_back({{"name", aside.entry.name},
                                        {"path", aside.entry.path},
                                        {"step", aside.entry.manifest.identity.step},
                                        {"why", why_put_aside(aside)}});
    }
    report["total_bytes"] = checkpoint::disk_bytes_of(listing.items);
    report["pools_bytes"] = listing.disk_bytes(StoredKind::kEntry);
    report["quarantine_bytes"] = listing.disk_bytes(StoredKind::kQuarantine);
    report["trash_bytes"] = listing.disk_bytes(StoredKind::kTrash);
    report["pending_bytes"] = listing.disk_bytes(StoredKind::kPending);
    report["available_bytes"] = listing.disk ? listing.disk->space.available_bytes : 0;
    report["disk"] = listing.disk ? json_of(*listing.disk) : Json();
    report["backup_disk"] = listing.backup_disk ? json_of(*listing.backup_disk) : Json();
    report["notes"] = listing.run.notes;
    fmt::print("{}\n", report.dump(2));
}

base::ExitCode run(const config::CommandLine& line) {
    return list_checkpoints(line.positional.front(), line.has("json"));
}

}  // namespace

base::ExitCode list_checkpoints(const std::string& run_directory, bool as_json) {
    const RunListing listing = list_run(fs::real_file_system(), run_directory);
    if (as_json) {
        print_json(listing);
    } else {
        Table(listing).print();
    }
    return base::ExitCode::kDone;
}

CheckpointsAction checkpoints_list_action() {
    return {.name = "list",
            .operands = "DIR",
            .summary = "every checkpoint of a run with step, loss, size and age; free space",
            .text =
                "\nGrouped by why it is kept. `own` is what deleting that one would free; `shared` "
                "is held by another\n"
                "name too (pools share files). `-r2` in a name: what was trained after the first "
                "rollback. "
                "Bytes are not\n"
                "read: `verify` does that.\n\n"
                "  holdfast checkpoints list checkpoints/demo\n"
                "  holdfast checkpoints list checkpoints/demo --json\n",
            .options = kOptions,
            .run = run};
}

}  // namespace holdfast::cli
