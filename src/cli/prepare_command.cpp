// holdfast prepare INPUT... --out DIR: text to token shards.
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/option_numbers.h"
#include "config/command_line.h"
#include "data/prepare.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"

namespace holdfast::cli {

namespace {

const std::array kPrepareOptions = {
    config::CommandOption{"out", "DIR", "the folder to make; it appears whole or not at all"},
    config::CommandOption{
        "tokenizer", "NAME", "gpt2 (50,257 ids) or bytes (each byte is a token); default gpt2"},
    config::CommandOption{
        "val-fraction", "F", "part of the text held out to measure the loss on; default 0.01"},
    config::CommandOption{"shard-tokens", "N", "most tokens a shard holds; default 100M (200 MB)"},
    config::CommandOption{"threads", "N", "threads that encode; default: one a processor"},
    config::CommandOption{"overwrite", "", "replace a folder prepared from something else"},
    config::CommandOption{"json", "", "print what was made as JSON"},
    config::CommandOption{"help", "", "this text", "h"},
};

constexpr std::string_view kPrepareHelp =
    "usage: holdfast prepare INPUT... --out DIR [options]\n\n"
    "INPUT is a text file (one document), a folder of them, or a .jsonl file whose lines have a "
    "`text`\n"
    "field (a document each). DIR gets train_*.bin, val_*.bin and dataset.json, for\n"
    "`holdfast train --train DIR --val DIR`.\n\n";

data::PrepareOptions prepare_options(const config::CommandLine& line) {
    data::PrepareOptions options;
    options.inputs = line.positional;
    options.out_dir = line.value("out");
    if (options.inputs.empty() || options.out_dir.empty()) {
        fail_usage("prepare needs INPUT and --out DIR; `holdfast prepare --help` shows how");
    }
    options.tokenizer = line.value("tokenizer", "gpt2");
    options.val_fraction = real_option(line, "val-fraction", "0.01");
    options.shard_tokens_max =
        static_cast<std::uint64_t>(count_option(line, "shard-tokens", "100M"));
    options.threads = static_cast<std::uint32_t>(count_option(line, "threads", "0"));
    options.overwrite = line.has("overwrite");
    return options;
}

void print_summary(const data::PrepareSummary& summary, const std::string& out_dir, bool as_json) {
    const data::DatasetSidecar& made = summary.dataset;
    if (as_json) {
        const nlohmann::ordered_json report = {{"out", out_dir},
                                               {"already_prepared", summary.already_prepared},
                                               {"tokenizer", made.tokenizer},
                                               {"vocab_size", made.vocab_size},
                                               {"documents", made.input_documents},
                                               {"train_tokens", made.train.tokens},
                                               {"val_tokens", made.val.tokens}};
        fmt::print("{}\n", report.dump());
        return;
    }
    fmt::print("{} {}: {} documents, {} train tokens in {} shard(s), {} val tokens, tokenizer {}\n",
               summary.already_prepared ? "already prepared:" : "prepared",
               out_dir,
               made.input_documents,
               base::count_in_words(static_cast<double>(made.train.tokens)),
               made.train.shards.size(),
               base::count_in_words(static_cast<double>(made.val.tokens)),
               made.tokenizer);
}

}  // namespace

base::ExitCode run_prepare(const std::vector<std::string>& arguments) {
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, kPrepareOptions, arguments));
    if (line.has("help")) {
        print_command_help(kPrepareHelp, kPrepareOptions);
        return base::ExitCode::kDone;
    }
    data::PrepareOptions options = prepare_options(line);
    std::optional<telemetry::ProgressMeter> meter;
    options.on_progress = [&](const data::PrepareProgress& progress) {
        if (!meter) {
            meter.emplace(telemetry::stderr_screen(),
                          "prepare",
                          progress.input_bytes_total,
                          telemetry::MeterUnit::kBytes,
                          base::monotonic_seconds());
        }
        meter->update(progress.input_bytes_done, base::monotonic_seconds());
    };
    const data::PrepareSummary summary =
        value_or_fail(data::prepare(fs::real_file_system(), options));
    meter.reset();
    print_summary(summary, options.out_dir, line.has("json"));
    return base::ExitCode::kDone;
}

}  // namespace holdfast::cli
