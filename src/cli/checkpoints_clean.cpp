// holdfast checkpoints clean: after a crash, or when space is short.
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <optional>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "checkpoint/backup_root.h"
#include "checkpoint/clean_plan.h"
#include "checkpoint/reclaim.h"
#include "checkpoint/run_directory.h"
#include "checkpoint/run_lock.h"
#include "cli/checkpoints_action.h"
#include "cli/command.h"
#include "cli/stored_run.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"

namespace holdfast::cli {

namespace {

using base::ExitCode;
using checkpoint::CleanItem;
using checkpoint::CleanKeepers;
using checkpoint::CleanPlan;
using checkpoint::Entry;
using checkpoint::ReclaimReport;
using Json = nlohmann::ordered_json;

const std::array kOptions = {
    config::CommandOption{"dry-run", "", "say what would go, and stop"},
    config::CommandOption{"yes", "", "do not ask", "y"},
    config::CommandOption{"all", "", "also what epoch/ and keep/ hold"},
    config::CommandOption{"json", "", "print for programs; needs --yes or --dry-run"},
    config::CommandOption{"help", "", "this text", "h"},
};

CleanKeepers keepers_of(fs::FileSystem& file_system, const StoredRun& run) {
    const double begin_seconds = base::monotonic_seconds();
    telemetry::ProgressMeter meter(telemetry::stderr_screen(),
                                   "verify what stays",
                                   0,
                                   telemetry::MeterUnit::kBytes,
                                   begin_seconds);
    std::mutex mutex;
    std::uint64_t done_bytes = 0;
    const auto on_bytes = [&](std::uint64_t more) {
        const std::scoped_lock lock(mutex);
        done_bytes += more;
        meter.update(done_bytes, base::monotonic_seconds());
    };
    const auto threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    return checkpoint::find_keepers(run.catalog, [&](const Entry& entry) {
        return checkpoint::verify_entries(file_system,
                                          std::span(&entry, 1),
                                          {.thread_count = threads, .on_bytes = on_bytes})
            .front();
    });
}

[[noreturn]] void fail_nothing_sound(const StoredRun& run, const CleanKeepers& keepers) {
    std::string why = "none can be used";
    if (!keepers.not_sound.empty()) {
        const auto& [path, verification] = *keepers.not_sound.rbegin();
        why = verification.why;
    }
    fail({base::ErrorKind::kNotFound,
          fmt::format("nothing is deleted: {} has no sound checkpoint that could stay ({})",
                      run.directory,
                      why),
          0});
}

struct Cleaning {
    StoredRun run;
    CleanKeepers keepers;
    CleanPlan plan;
    std::vector<std::string> unknown;
    bool takes_backups = false;  // what lies in backup/ too
};

// A disk of their own is for the day on which all else is lost; and a folder that somebody put in
// the place of backup/ may be another run's.
bool may_clean_backups(fs::FileSystem& file_system, const StoredRun& run) {
    if (!run.paths.backup_is_inside()) {
        return false;
    }
    const base::Status ours = checkpoint::check_backup_root(file_system, run.paths, run.run_id);
    const bool is_unmarked = !ours.ok() && ours.error().kind == base::ErrorKind::kNotFound;
    const bool is_foreign =
        std::any_of(run.catalog.entries.begin(), run.catalog.entries.end(), [](const Entry& entry) {
            return checkpoint::is_backup(entry.pool) &&
                   entry.state == checkpoint::EntryState::kForeign;
        });
    return ours.ok() || (is_unmarked && !is_foreign);
}

void leave_backups_alone(StoredRun& run, std::vector<checkpoint::StoredItem>& items) {
    const std::string prefix = run.paths.backup_directory + '/';
    const auto count =
        std::erase_if(items, [&](const auto& item) { return item.path.starts_with(prefix); });
    if (count > 0) {
        run.notes.push_back(
            fmt::format("the second copies in {} are left alone", run.paths.backup_directory));
    }
}

Cleaning plan_cleaning(fs::FileSystem& file_system, const std::string& directory, bool all) {
    Cleaning cleaning;
    cleaning.run = look_at_run(file_system, directory);
    const StoredRun& run = cleaning.run;
    if (!run.catalog.unreadable.empty()) {
        fail({base::ErrorKind::kIo,
              fmt::format("nothing is deleted while a pool cannot be read: {}",
                          run.catalog.unreadable.front()),
              0});
    }
    cleaning.keepers = keepers_of(file_system, run);
    if (!cleaning.keepers.newest) {
        fail_nothing_sound(run, cleaning.keepers);
    }
    auto items = value_or_fail(checkpoint::stored_items(file_system, run.paths, run.catalog));
    cleaning.takes_backups = may_clean_backups(file_system, run);
    if (!cleaning.takes_backups) {
        leave_backups_alone(cleaning.run, items);
    }
    cleaning.plan = checkpoint::plan_clean(run.catalog, items, cleaning.keepers, run.run_id, all);
    cleaning.unknown = checkpoint::unknown_names(file_system, run.paths);
    return cleaning;
}

void print_items(const std::vector<CleanItem>& items, std::string_view title, std::size_t width) {
    if (!items.empty()) {
        fmt::print("{}\n", title);
    }
    for (const CleanItem& item : items) {
        fmt::print("  {:<{}} {:>9}  {}\n",
                   item.stored.label,
                   width,
                   base::bytes_in_words(item.stored.disk_bytes()),
                   item.why);
    }
}

// The sum of what goes, shared files once.
std::uint64_t named_bytes_of(const CleanPlan& plan) {
    std::vector<checkpoint::StoredItem> items;
    for (const CleanItem& item : plan.removed) {
        items.push_back(item.stored);
    }
    return checkpoint::disk_bytes_of(items);
}

void print_plan(const Cleaning& cleaning) {
    const CleanPlan& plan = cleaning.plan;
    std::size_t width = 22;
    for (const auto* items : {&plan.kept, &plan.removed}) {
        for (const CleanItem& item : *items) {
            width = std::max(width, item.stored.label.size());
        }
    }
    print_items(plan.kept, "stays", width);
    print_items(plan.removed, "goes", width);
    for (const std::string& name : cleaning.unknown) {
        fmt::print("left alone, since it is not of this program: {}\n", name);
    }
    for (const std::string& note : cleaning.run.notes) {
        fmt::print("note: {}\n", note);
    }
    const std::uint64_t freed = plan.freed_bytes();
    const std::uint64_t held = named_bytes_of(plan) - freed;
    fmt::print(
        "{} to delete, which frees {}{}\n",
        plan.removed.size(),
        base::bytes_in_words(freed),
        held > 0 ? fmt::format(" ({} are files that what stays shares)", base::bytes_in_words(held))
                 : "");
}

bool is_agreed() {
    fmt::print(stderr, "delete them? [y/N] ");
    std::fflush(stderr);
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

ReclaimReport carry_out(fs::FileSystem& file_system, const Cleaning& cleaning) {
    const checkpoint::RunPaths& paths = cleaning.run.paths;
    checkpoint::Reclaimer reclaimer(file_system, paths);
    std::vector<checkpoint::Pool> sides = {checkpoint::Pool::kRolling};
    if (cleaning.takes_backups) {
        sides.push_back(checkpoint::Pool::kBackupRolling);
    }
    ReclaimReport report;
    for (const checkpoint::Pool side : sides) {
        report.merge(reclaimer.clear_leftovers({}, side));
        report.merge(reclaimer.clear_temporaries(side));
        report.merge(reclaimer.clear_quarantine(side));
    }
    report.merge(reclaimer.execute(cleaning.plan.deletions()));
    const Entry& newest = *cleaning.keepers.newest;
    const base::Status pointed =
        checkpoint::update_latest(file_system, paths, newest.pool, newest.name);
    if (!pointed.ok()) {
        base::log_warning("{} (a hint only: the checkpoint is safe)", pointed.error().what);
    }
    return report;
}

Json json_of(const std::vector<CleanItem>& items) {
    Json json = Json::array();
    for (const CleanItem& item : items) {
        json.push_back({{"name", item.stored.label},
                        {"path", item.stored.path},
                        {"disk_bytes", item.stored.disk_bytes()},
                        {"why", item.why}});
    }
    return json;
}

void print_json(const Cleaning& cleaning, const std::optional<ReclaimReport>& done) {
    Json json = {{"directory", cleaning.run.directory},
                 {"newest", cleaning.keepers.newest->label()},
                 {"best", cleaning.keepers.best ? Json(cleaning.keepers.best->label()) : Json()},
                 {"dry_run", !done.has_value()},
                 {"stays", json_of(cleaning.plan.kept)},
                 {"goes", json_of(cleaning.plan.removed)},
                 {"left_alone", cleaning.unknown},
                 {"bytes_to_free", cleaning.plan.freed_bytes()}};
    if (done) {
        json["freed_bytes"] = done->freed_bytes;
        json["failures"] = done->failures;
    }
    fmt::print("{}\n", json.dump(2));
}

ExitCode clean(fs::FileSystem& file_system, const config::CommandLine& line) {
    const std::string& directory = line.positional.front();
    const bool as_json = line.has("json");
    // Before the lock: taking it makes a file, which belongs into a run directory only.
    const StoredRun run = look_at_run(file_system, directory);
    std::optional<checkpoint::RunLock> lock;
    if (!line.has("dry-run")) {
        lock = value_or_fail(
            checkpoint::RunLock::take(file_system, run.paths, /*allow_unlocked=*/false));
    }
    const Cleaning cleaning = plan_cleaning(file_system, directory, line.has("all"));
    if (!as_json) {
        print_plan(cleaning);
    }
    if (line.has("dry-run")) {
        if (as_json) {
            print_json(cleaning, std::nullopt);
        }
        return ExitCode::kDone;
    }
    if (!line.has("yes") && !cleaning.plan.removed.empty()) {
        std::fflush(stdout);
        if (!is_agreed()) {
            fmt::print("nothing was deleted\n");
            return ExitCode::kDone;
        }
    }
    if (const base::Status held = lock->still_held(); !held.ok()) {
        fail(held.error());
    }
    const ReclaimReport report = carry_out(file_system, cleaning);
    for (const std::string& failure : report.failures) {
        base::log_warning("{}", failure);
    }
    if (as_json) {
        print_json(cleaning, report);
    } else {
        fmt::print("{}, freed {}\n",
                   report.failures.empty() ? "done" : "not all could be deleted",
                   base::bytes_in_words(report.freed_bytes));
    }
    return report.failures.empty() ? ExitCode::kDone : ExitCode::kFailed;
}

ExitCode run(const config::CommandLine& line) {
    const bool may_ask = ::isatty(STDIN_FILENO) != 0 && !line.has("json");
    if (!line.has("dry-run") && !line.has("yes") && !may_ask) {
        fail_usage(
            "checkpoints clean deletes and there is no terminal to ask on: give --yes, or "
            "--dry-run to see what would go");
    }
    return clean(fs::real_file_system(), line);
}

}  // namespace

CheckpointsAction checkpoints_clean_action() {
    return {
        .name = "clean",
        .operands = "DIR",
        .summary = "keep only the newest checkpoint and the best one, both verified first",
        .text =
            "\nFor when space is short, or after a crash. Goes: other rolling, emergency and "
            "best checkpoints,\n"
            "superseded ones, second copies older than the newest, quarantine, unfinished saves "
            "and deletions.\n"
            "Stays: the newest and the best, what epoch/ and keep/ hold (unless --all), and "
            "whatever is not of\n"
            "this run. Takes the run's lock, lists with sizes, and asks.\n\n"
            "  holdfast checkpoints clean checkpoints/demo --dry-run\n"
            "  holdfast checkpoints clean checkpoints/demo --yes\n",
        .options = kOptions,
        .run = run};
}

}  // namespace holdfast::cli
