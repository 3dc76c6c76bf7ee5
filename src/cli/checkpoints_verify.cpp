// holdfast checkpoints verify: every byte of every checkpoint.
#include <algorithm>
#include <array>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/words.h"
#include "checkpoint/entry_verifier.h"
#include "cli/checkpoints_action.h"
#include "cli/command.h"
#include "cli/stored_run.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"

namespace holdfast::cli {

namespace {

using checkpoint::Entry;
using checkpoint::Verdict;
using checkpoint::Verification;
using Json = nlohmann::ordered_json;

const std::array kOptions = {
    config::CommandOption{"threads", "N", "readers at once; default: one a processor"},
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

struct Subject {
    Entry entry;
    std::string label;
    bool counts = true;  // quarantine does not
};

int thread_count_of(const config::CommandLine& line) {
    const std::string text = line.value("threads");
    if (text.empty()) {
        return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    }
    const auto count = base::parse_count(text);
    if (!count || *count < 1 || *count > 1024) {
        fail_usage(fmt::format("--threads takes a number from 1 to 1024, not '{}'", text));
    }
    return static_cast<int>(*count);
}

std::string_view word_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::kSound:
            return "sound";
        case Verdict::kDamaged:
            return "DAMAGED";
        case Verdict::kUnreadable:
            return "UNREAD";
        case Verdict::kRotatedAway:
            return "gone";
    }
    return "";
}

struct Report {
    std::vector<Subject> subjects;
    std::vector<Verification> verifications;
    std::vector<std::string> notes;
    std::size_t unlisted_pools = 0;
    double seconds = 0;

    [[nodiscard]] int count(Verdict verdict, bool counts) const {
        int count = 0;
        for (std::size_t i = 0; i < subjects.size(); ++i) {
            count += subjects[i].counts == counts && verifications[i].verdict == verdict ? 1 : 0;
        }
        return count;
    }
    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t bytes = 0;
        for (const Verification& verification : verifications) {
            bytes += verification.bytes_read;
        }
        return bytes;
    }
    [[nodiscard]] double gigabytes_per_second() const {
        return seconds > 0 ? static_cast<double>(bytes()) / 1e9 / seconds : 0.0;
    }
    [[nodiscard]] bool is_all_well() const {
        return count(Verdict::kDamaged, true) == 0 && count(Verdict::kUnreadable, true) == 0 &&
               unlisted_pools == 0;
    }
};

Report subjects_at(fs::FileSystem& file_system, const std::string& path) {
    Report report;
    if (is_checkpoint(file_system, path)) {
        for (const Entry& entry : readable_checkpoints(file_system, path)) {
            report.subjects.push_back({entry, entry.path});
        }
        return report;
    }
    const StoredRun run = look_at_run(file_system, path);
    report.notes = run.notes;
    report.unlisted_pools = run.catalog.unreadable.size();
    for (const Entry& entry : run.catalog.entries) {
        report.subjects.push_back({entry, entry.label()});
    }
    for (const PutAside& aside : run.quarantine) {
        report.subjects.push_back({aside.entry, aside.label, /*counts=*/false});
    }
    return report;
}

Report verify(fs::FileSystem& file_system, const std::string& path, int thread_count) {
    Report report = subjects_at(file_system, path);
    std::vector<Entry> entries;
    for (const Subject& subject : report.subjects) {
        entries.push_back(subject.entry);
    }
    const double begin_seconds = base::monotonic_seconds();
    telemetry::ProgressMeter meter(telemetry::stderr_screen(),
                                   "verify",
                                   checkpoint::bytes_to_verify(file_system, entries),
                                   telemetry::MeterUnit::kBytes,
                                   begin_seconds);
    std::mutex mutex;
    std::uint64_t done_bytes = 0;
    report.verifications = checkpoint::verify_entries(
        file_system, entries, {.thread_count = thread_count, .on_bytes = [&](std::uint64_t more) {
                                   const std::scoped_lock lock(mutex);
                                   done_bytes += more;
                                   meter.update(done_bytes, base::monotonic_seconds());
                               }});
    report.seconds = base::monotonic_seconds() - begin_seconds;
    return report;
}

// Without the directory, which stands before it in the line.
std::string why_in(const Entry& entry, std::string why) {
    const std::string prefix = entry.path + '/';
    for (std::size_t at = why.find(prefix); at != std::string::npos; at = why.find(prefix)) {
        why.erase(at, prefix.size());
    }
    return why;
}

void print_table(const Report& report) {
    std::size_t width = 0;
    for (const Subject& subject : report.subjects) {
        width = std::max(width, subject.label.size());
    }
    for (std::size_t i = 0; i < report.subjects.size(); ++i) {
        const Subject& subject = report.subjects[i];
        const Verification& verification = report.verifications[i];
        std::string text = why_in(subject.entry, verification.why);
        if (verification.same_files_as) {
            text = "same files as " + report.subjects[*verification.same_files_as].label;
        } else if (text.empty()) {
            text = base::bytes_in_words(verification.bytes_read);
        }
        fmt::print("{:<8} {:<{}}  {}\n",
                   subject.counts ? word_of(verification.verdict) : "aside",
                   subject.label,
                   width,
                   text);
    }
    const int read = static_cast<int>(std::count_if(
        report.verifications.begin(), report.verifications.end(), [](const Verification& one) {
            return one.bytes_read > 0;
        }));
    std::string outcome = fmt::format("{} damaged", report.count(Verdict::kDamaged, true));
    for (const auto& [verdict, words] :
         {std::pair{Verdict::kUnreadable, "could not be read"},
          std::pair{Verdict::kRotatedAway, "rotated away meanwhile"}}) {
        if (const int count = report.count(verdict, true); count > 0) {
            outcome += fmt::format(", {} {}", count, words);
        }
    }
    if (report.unlisted_pools > 0) {
        outcome += fmt::format(", {} folder(s) could not be listed", report.unlisted_pools);
    }
    fmt::print("{} names of {} checkpoint(s), {} read in {} ({:.2f} GB/s): {}\n",
               report.subjects.size(),
               read,
               base::bytes_in_words(report.bytes()),
               base::duration_in_words(report.seconds),
               report.gigabytes_per_second(),
               report.is_all_well() && outcome == "0 damaged" ? "all sound" : outcome);
    for (const std::string& note : report.notes) {
        fmt::print("note: {}\n", note);
    }
}

std::string_view json_word_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::kSound:
            return "sound";
        case Verdict::kDamaged:
            return "damaged";
        case Verdict::kUnreadable:
            return "unreadable";
        case Verdict::kRotatedAway:
            return "rotated away";
    }
    return "";
}

void print_json(const Report& report) {
    Json json = {{"damaged", report.count(Verdict::kDamaged, true)},
                 {"unreadable", report.count(Verdict::kUnreadable, true)},
                 {"rotated_away", report.count(Verdict::kRotatedAway, true)},
                 {"bytes_read", report.bytes()},
                 {"seconds", report.seconds},
                 {"gigabytes_per_second", report.gigabytes_per_second()},
                 {"checkpoints", Json::array()},
                 {"quarantine", Json::array()},
                 {"notes", report.notes}};
    for (std::size_t i = 0; i < report.subjects.size(); ++i) {
        const Subject& subject = report.subjects[i];
        const Verification& verification = report.verifications[i];
        Json item = {{"label", subject.label},
                     {"path", subject.entry.path},
                     {"step", subject.entry.manifest.identity.step},
                     {"sound", verification.verdict == Verdict::kSound},
                     {"verdict", json_word_of(verification.verdict)},
                     {"why", verification.why},
                     {"same_files_as", Json()}};
        if (verification.same_files_as) {
            item["same_files_as"] = report.subjects[*verification.same_files_as].label;
        }
        json[subject.counts ? "checkpoints" : "quarantine"].push_back(std::move(item));
    }
    fmt::print("{}\n", json.dump(2));
}

base::ExitCode run(const config::CommandLine& line) {
    const Report report =
        verify(fs::real_file_system(), line.positional.front(), thread_count_of(line));
    if (line.has("json")) {
        print_json(report);
    } else {
        print_table(report);
    }
    return report.is_all_well() ? base::ExitCode::kDone : base::ExitCode::kNothingToResume;
}

}  // namespace

CheckpointsAction checkpoints_verify_action() {
    return {.name = "verify",
            .operands = "DIR|CHECKPOINT",
            .summary =
                "read every byte from the disk; exit code 0 when all are the ones written, "
                "else 3",
            .text =
                "\nNames that are the same files are read once. Second copies are read too; "
                "what lies in quarantine\n"
                "is told and does not count. What a trainer rotates away meanwhile is no "
                "damage.\n\n"
                "  holdfast checkpoints verify checkpoints/demo\n"
                "  holdfast checkpoints verify checkpoints/demo/best/step_00000500 --threads 8\n",
            .options = kOptions,
            .run = run};
}

}  // namespace holdfast::cli
