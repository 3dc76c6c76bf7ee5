// holdfast eval: the loss of a checkpoint on a validation set, with the run's own precision and
// units, so that it gives the run's val_loss bit for bit.
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/loaded_model.h"
#include "cli/option_numbers.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"
#include "train/evaluation.h"
#include "train/run_data.h"
#include "train/stop_request.h"

namespace holdfast::cli {

namespace {

const std::array kEvalOptions = {
    config::CommandOption{"checkpoint", "X", "a checkpoint, or a run directory (then its newest)"},
    config::CommandOption{
        "data", "D", "val shards: a file, a folder or a glob; default: the run's first val set"},
    config::CommandOption{
        "tokens", "N", "most tokens to score; 0: all; default: the run's eval_tokens"},
    config::CommandOption{"device", "NAME", "auto, cpu or cuda; default auto"},
    config::CommandOption{"threads", "N", "default: those of the run"},
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

constexpr std::string_view kEvalHelp =
    "usage: holdfast eval --checkpoint X [--data D] [--json]\n\n"
    "Prints the mean loss in nats a token over non-overlapping windows, and bits per byte of text "
    "where the\n"
    "data says how many bytes it was made of.\n\n";

struct Score {
    double loss = 0.0;
    std::optional<double> bits_per_byte;
    std::int64_t tokens = 0;
};

Score score(const config::CommandLine& line, LoadedModel& loaded) {
    data::DataConfig sources = loaded.settings.data;
    if (line.has("data")) {
        sources.val = line.values("data");
    }
    if (sources.val.empty()) {
        fail_usage("the run has no validation set: name one with --data");
    }
    const auto named = value_or_fail(data::named_sources(sources.val));
    const data::TokenSet tokens = value_or_fail(
        data::TokenSet::open(fs::real_file_system(), named.front().sources, data::Split::kVal));
    const data::ValidationSet set = value_or_fail(data::ValidationSet::make(
        tokens,
        {.window_tokens = loaded.settings.model.block_size,
         .eval_tokens = line.has("tokens") ? count_option(line, "tokens", "0")
                                           : loaded.settings.train.eval_tokens,
         .unit_sequences = loaded.settings.batch.micro_batch,
         .vocab_size = loaded.settings.model.vocab_size}));
    const train::StopRequest stop;
    telemetry::ProgressMeter meter(telemetry::stderr_screen(),
                                   "eval",
                                   static_cast<std::uint64_t>(set.unit_count()),
                                   telemetry::MeterUnit::kItems,
                                   base::monotonic_seconds(),
                                   "units");
    const std::optional<double> loss =
        value_or_fail(train::evaluate_set(*loaded.gpt, set, [&](std::int64_t e) {
            meter.update(static_cast<std::uint64_t>(e), base::monotonic_seconds());
            return stop.stop_asked();
        }));
    if (!loss) {
        throw base::Failure(train::StopRequest::exit_code_of(*stop.signal()),
                            "stopped; nothing was changed");
    }
    return {*loss, set.bits_per_byte(*loss), set.target_count()};
}

}  // namespace

base::ExitCode run_eval(const std::vector<std::string>& arguments) {
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, kEvalOptions, arguments));
    if (line.has("help")) {
        print_command_help(kEvalHelp, kEvalOptions);
        return base::ExitCode::kDone;
    }
    if (!line.has("checkpoint")) {
        fail_usage("eval needs --checkpoint X, a checkpoint or a run directory");
    }
    LoadedModel loaded = load_model(line.value("checkpoint"),
                                    line.value("device", "auto"),
                                    count_option(line, "threads", "0"),
                                    0);
    const Score result = score(line, loaded);
    const std::int64_t step = loaded.manifest.identity.step;
    if (line.has("json")) {
        const nlohmann::ordered_json report = {
            {"loss", result.loss},
            {"bits_per_byte",
             result.bits_per_byte ? nlohmann::ordered_json(*result.bits_per_byte)
                                  : nlohmann::ordered_json()},
            {"tokens", result.tokens},
            {"step", step},
            {"checkpoint", loaded.path}};
        fmt::print("{}\n", report.dump());
    } else {
        fmt::print("loss {:.6f} nats a token over {} tokens{} (step {}, {})\n",
                   result.loss,
                   result.tokens,
                   result.bits_per_byte
                       ? fmt::format(", {:.4f} bits per byte", *result.bits_per_byte)
                       : "",
                   step,
                   loaded.path);
    }
    return base::ExitCode::kDone;
}

}  // namespace holdfast::cli
