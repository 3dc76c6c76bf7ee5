// holdfast checkpoints hash: what a checkpoint means, as one number.
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "checkpoint/content_hash.h"
#include "checkpoint/reader.h"
#include "cli/checkpoints_action.h"
#include "cli/command.h"
#include "cli/stored_run.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {

namespace {

const std::array kOptions = {
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

base::ExitCode run(const config::CommandLine& line) {
    fs::FileSystem& file_system = fs::real_file_system();
    const std::vector<checkpoint::Entry> candidates =
        readable_checkpoints(file_system, line.positional.front());
    checkpoint::Reader reader =
        value_or_fail(checkpoint::Reader::open(file_system, candidates.front().path));
    const base::Hash128 hash = value_or_fail(checkpoint::content_hash(reader));
    if (line.has("json")) {
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
    return base::ExitCode::kDone;
}

}  // namespace

CheckpointsAction checkpoints_hash_action() {
    return {.name = "hash",
            .operands = "DIR|CHECKPOINT",
            .summary = "the hash of what a checkpoint means: equal for equal state",
            .text =
                "\nOver tensors, step, phase, cursor, tokens, seed and lanes, after every byte was "
                "verified; not over\n"
                "file names, times or settings. Of a run directory, its newest checkpoint. The "
                "last line begins\n"
                "with the hash.\n\n"
                "  holdfast checkpoints hash checkpoints/demo\n",
            .options = kOptions,
            .run = run};
}

}  // namespace holdfast::cli
