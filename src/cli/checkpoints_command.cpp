// holdfast checkpoints list|verify|hash|resume-command: what a run has on disk. Reads only.
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/words.h"
#include "checkpoint/catalog.h"
#include "checkpoint/content_hash.h"
#include "checkpoint/reader.h"
#include "checkpoint/resume_load.h"
#include "cli/checkpoint_list.h"
#include "cli/command.h"
#include "cli/resume_words.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"

namespace holdfast::cli {

namespace {

using base::ExitCode;

const std::array kCheckpointsOptions = {
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

constexpr std::string_view kCheckpointsHelp =
    "usage: holdfast checkpoints list|verify|hash|resume-command DIR [--json]\n\n"
    "  list            every checkpoint of the run directory DIR, with sizes and losses\n"
    "  verify          read every byte of every checkpoint in DIR (or of the one checkpoint DIR)\n"
    "  hash            the hash of what a checkpoint means: equal for equal state (DIR: a "
    "checkpoint, or a run\n"
    "                  directory, then its newest)\n"
    "  resume-command  the command that goes on with the run in DIR\n\n";

std::vector<checkpoint::Entry> entries_to_verify(fs::FileSystem& file_system,
                                                 const std::string& path) {
    const auto is_entry =
        fs::exists(file_system, fs::join(path, std::string(checkpoint::kManifestName)));
    if (is_entry.ok() && is_entry.value()) {
        return {value_or_fail(
            checkpoint::scan_entry(file_system, path, checkpoint::Pool::kRolling, /*run_id=*/""))};
    }
    checkpoint::Catalog catalog =
        checkpoint::scan_pools(file_system, checkpoint::RunPaths::of(path), /*run_id=*/"");
    if (catalog.entries.empty()) {
        fail({base::ErrorKind::kNotFound, fmt::format("{} holds no checkpoint", path), 0});
    }
    return std::move(catalog.entries);
}

// Empty when every byte is right.
std::string what_is_wrong(fs::FileSystem& file_system, const checkpoint::Entry& entry) {
    if (!entry.usable()) {
        return entry.why;
    }
    auto reader = checkpoint::Reader::open(file_system, entry.path);
    if (!reader.ok()) {
        return reader.error().what;
    }
    const base::Status verified = reader.value().verify();
    return verified.ok() ? "" : verified.error().what;
}

ExitCode verify(const std::string& path, bool as_json) {
    fs::FileSystem& file_system = fs::real_file_system();
    const std::vector<checkpoint::Entry> entries = entries_to_verify(file_system, path);
    std::uint64_t total_bytes = 0;
    for (const checkpoint::Entry& entry : entries) {
        total_bytes += entry.bytes;
    }
    const double begin_seconds = base::monotonic_seconds();
    std::optional<telemetry::ProgressMeter> meter;
    meter.emplace(telemetry::stderr_screen(),
                  "verify",
                  total_bytes,
                  telemetry::MeterUnit::kBytes,
                  begin_seconds);
    nlohmann::ordered_json report = nlohmann::ordered_json::array();
    std::uint64_t done_bytes = 0;
    int damaged = 0;
    std::string lines;
    for (const checkpoint::Entry& entry : entries) {
        const std::string wrong = what_is_wrong(file_system, entry);
        damaged += wrong.empty() ? 0 : 1;
        report.push_back({{"path", entry.path}, {"sound", wrong.empty()}, {"why", wrong}});
        lines += fmt::format("{:<8} {}{}\n",
                             wrong.empty() ? "sound" : "DAMAGED",
                             entry.path,
                             wrong.empty() ? "" : ": " + wrong);
        done_bytes += entry.bytes;
        meter->update(done_bytes, base::monotonic_seconds());
    }
    meter.reset();
    const double seconds = base::monotonic_seconds() - begin_seconds;
    if (as_json) {
        fmt::print("{}\n",
                   nlohmann::ordered_json({{"damaged", damaged}, {"checkpoints", report}}).dump(2));
    } else {
        fmt::print("{}{} checkpoint(s), {} read in {} ({:.2f} GB/s), {} damaged\n",
                   lines,
                   entries.size(),
                   base::bytes_in_words(done_bytes),
                   base::duration_in_words(seconds),
                   static_cast<double>(done_bytes) / 1e9 / seconds,
                   damaged);
    }
    return damaged == 0 ? ExitCode::kDone : ExitCode::kNothingToResume;
}

ExitCode print_hash(const std::string& path, bool as_json) {
    fs::FileSystem& file_system = fs::real_file_system();
    const std::vector<checkpoint::Entry> candidates =
        value_or_fail(checkpoint::candidates_at(file_system, path));
    checkpoint::Reader reader =
        value_or_fail(checkpoint::Reader::open(file_system, candidates.front().path));
    const base::Hash128 hash = value_or_fail(checkpoint::content_hash(reader));
    if (as_json) {
        fmt::print("{}\n",
                   nlohmann::ordered_json({{"hash", base::to_hex(hash)},
                                           {"step", reader.manifest().identity.step},
                                           {"path", reader.path()}})
                       .dump());
    } else {
        fmt::print("{}  step {}  {}\n",
                   base::to_hex(hash),
                   reader.manifest().identity.step,
                   reader.path());
    }
    return ExitCode::kDone;
}

}  // namespace

ExitCode run_checkpoints(const std::vector<std::string>& arguments) {
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, kCheckpointsOptions, arguments));
    if (line.has("help")) {
        print_command_help(kCheckpointsHelp, kCheckpointsOptions);
        return ExitCode::kDone;
    }
    if (line.positional.size() != 2) {
        fail_usage(
            "checkpoints needs what to do and a directory, as in `holdfast checkpoints list "
            "checkpoints/run`; "
            "`holdfast checkpoints --help` explains");
    }
    const std::string& action = line.positional.at(0);
    const std::string& directory = line.positional.at(1);
    if (action == "list") {
        return list_checkpoints(directory, line.has("json"));
    }
    if (action == "verify") {
        return verify(directory, line.has("json"));
    }
    if (action == "hash") {
        return print_hash(directory, line.has("json"));
    }
    if (action == "resume-command") {
        fmt::print("{}\n", value_or_fail(resume_command_of(fs::real_file_system(), directory)));
        return ExitCode::kDone;
    }
    const auto nearest = base::nearest_word(action, {"list", "verify", "hash", "resume-command"});
    fail_usage(fmt::format("checkpoints can list, verify, hash or resume-command, not '{}'{}",
                           action,
                           nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

}  // namespace holdfast::cli
