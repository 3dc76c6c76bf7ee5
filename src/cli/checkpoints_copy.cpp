// holdfast checkpoints copy: one checkpoint to another place.
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "checkpoint/checkpoint_copy.h"
#include "cli/checkpoints_action.h"
#include "cli/command.h"
#include "cli/stored_run.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"

namespace holdfast::cli {

namespace {

using checkpoint::CopiedCheckpoint;
using checkpoint::Entry;

const std::array kOptions = {
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

// The first of `candidates` that is sound; what is passed over is told.
std::pair<const Entry*, CopiedCheckpoint> copy_first_sound(fs::FileSystem& file_system,
                                                           const std::vector<Entry>& candidates,
                                                           const std::string& target) {
    checkpoint::TransferBuffers buffers;
    std::optional<base::Error> last;
    for (const Entry& entry : candidates) {
        const std::string path =
            value_or_fail(checkpoint::copy_target(file_system, target, entry.name));
        std::optional<telemetry::ProgressMeter> meter;
        meter.emplace(telemetry::stderr_screen(),
                      "copy",
                      entry.bytes,
                      telemetry::MeterUnit::kBytes,
                      base::monotonic_seconds());
        std::uint64_t done_bytes = 0;
        auto copied =
            checkpoint::copy_checkpoint(file_system, entry, path, buffers, [&](std::uint64_t more) {
                done_bytes += more;
                meter->update(done_bytes, base::monotonic_seconds());
            });
        meter.reset();
        if (copied.ok()) {
            return {&entry, std::move(copied).value()};
        }
        const bool is_of_source = copied.error().kind == base::ErrorKind::kCorrupt ||
                                  copied.error().kind == base::ErrorKind::kNotFound;
        if (!is_of_source) {
            fail(copied.error());
        }
        last = copied.error();
        base::log_warning("{}", last->what);
    }
    fail(*last);
}

base::ExitCode run(const config::CommandLine& line) {
    fs::FileSystem& file_system = fs::real_file_system();
    const std::vector<Entry> candidates = readable_checkpoints(file_system, line.positional.at(0));
    const double begin_seconds = base::monotonic_seconds();
    const auto [source, copied] = copy_first_sound(file_system, candidates, line.positional.at(1));
    const double seconds = base::monotonic_seconds() - begin_seconds;
    const bool from_device = copied.readback == checkpoint::Readback::kDevice;
    if (line.has("json")) {
        fmt::print("{}\n",
                   nlohmann::ordered_json({{"source", source->path},
                                           {"path", copied.path},
                                           {"step", copied.manifest.identity.step},
                                           {"lineage", copied.manifest.identity.lineage},
                                           {"bytes", copied.bytes},
                                           {"readback", from_device ? "device" : "cache"},
                                           {"seconds", seconds}})
                       .dump());
        return base::ExitCode::kDone;
    }
    fmt::print("copied {} (step {}, {}) to {} in {}; every byte was {}\n",
               source->path,
               copied.manifest.identity.step,
               base::bytes_in_words(copied.bytes),
               copied.path,
               base::duration_in_words(seconds),
               from_device ? "read back from the disk"
                           : "read back, maybe from memory: this disk cannot be asked past it");
    return base::ExitCode::kDone;
}

}  // namespace

CheckpointsAction checkpoints_copy_action() {
    return {.name = "copy",
            .operands = "DIR|CHECKPOINT TARGET",
            .operand_count = 2,
            .summary = "a verified copy of one checkpoint (of a run: its newest) elsewhere",
            .text =
                "\nReal files, synced, read back, and put in place by one rename: TARGET is "
                "whole or it is not there.\n"
                "An existing directory takes the copy inside it under its name. `train "
                "--resume`, `verify`, `hash`,\n"
                "`sample` and `eval` take the copy as they take any checkpoint.\n\n"
                "  holdfast checkpoints copy checkpoints/demo /mnt/usb\n"
                "  holdfast checkpoints copy checkpoints/demo/best/step_00000500 "
                "/mnt/usb/demo-best\n",
            .options = kOptions,
            .run = run};
}

}  // namespace holdfast::cli
