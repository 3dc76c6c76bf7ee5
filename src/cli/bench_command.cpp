// holdfast bench checkpoint: what saving and loading a run's state takes on this machine, beside
// what its memory and its disk give.
#include <algorithm>
#include <array>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/process_usage.h"
#include "base/words.h"
#include "checkpoint/reader.h"
#include "checkpoint/store_bench.h"
#include "cli/bench_report.h"
#include "cli/capture_bench.h"
#include "cli/command.h"
#include "cli/option_numbers.h"
#include "cli/run_environment.h"
#include "cli/train_request.h"
#include "config/resolve.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"
#include "train/stop_request.h"

namespace holdfast::cli {

namespace {

const std::array kBenchOptions = {
    config::CommandOption{
        "bytes",
        "SIZE",
        "size of the state; default: GPT-2 124M's, 1.5B, or what there is room for"},
    config::CommandOption{"config", "FILE", "the state of this config's model instead"},
    config::CommandOption{"dir", "DIR", "the disk to measure, by a folder on it; default: here"},
    config::CommandOption{"repeat", "N", "rounds; default 5"},
    config::CommandOption{
        "threads", "N", "threads that copy and read; default: as a run, one a processor and 4"},
    config::CommandOption{"json", "", "print for programs"},
    config::CommandOption{"help", "", "this text", "h"},
};

constexpr std::string_view kBenchHelp =
    "usage: holdfast bench checkpoint [--bytes SIZE | --config FILE] [--dir DIR] [--json]\n\n"
    "Saves and loads a state as a run does, in a folder of its own that is removed again, in turns "
    "with plain\n"
    "copies, writes and reads of as many bytes.\n\n";

constexpr std::uint64_t kListedCheckpoints = 1000;
// Below, a state fits into the caches of a processor and what a file costs beside its bytes counts
// for more than they do: a ratio says nothing.
constexpr std::uint64_t kRatioBytesMin = std::uint64_t{32} << 20U;
constexpr std::int64_t kBytesPerElement = 12;  // weights and two moments, fp32

model::GptConfig gpt2_124m() {
    model::GptConfig shape;
    shape.n_layer = 12;
    shape.n_head = 12;
    shape.n_embd = 768;
    shape.block_size = 1024;
    shape.vocab_size = 50257;
    return shape;
}

// A model of about `state_bytes`: the blocks have two thirds of it, as in GPT-2 124M, and the
// embedding takes the rest.
model::GptConfig shape_of_bytes(std::int64_t state_bytes) {
    const std::int64_t elements = state_bytes / kBytesPerElement;
    model::GptConfig shape;
    shape.n_embd = elements > 20'000'000 ? 768 : 64;
    shape.n_head = shape.n_embd / 64;
    shape.block_size = shape.n_embd == 768 ? 1024 : 64;
    const std::int64_t block = 12 * shape.n_embd * shape.n_embd + 13 * shape.n_embd;
    shape.n_layer = std::max<std::int64_t>(1, elements * 2 / 3 / block);
    const std::int64_t left = elements - shape.n_layer * block - shape.block_size * shape.n_embd;
    shape.vocab_size = std::max<std::int64_t>(64, left / shape.n_embd);
    return shape;
}

model::GptConfig shape_of_config(const std::string& path) {
    auto text = fs::read_file(fs::real_file_system(), path, kConfigBytesMax);
    if (!text.ok()) {
        fail_usage(text.error().what);
    }
    const config::Settings settings =
        value_or_fail(config::resolve_settings(std::pair{path, text.value()}, {}, {})).settings;
    model::GptConfig shape = settings.model;
    if (shape.vocab_size == 0) {
        shape.vocab_size = settings.data.tokenizer == "bytes" ? 256 : 50257;
    }
    if (const base::Status valid = shape.validate(); !valid.ok()) {
        fail(valid.error());
    }
    return shape;
}

// What the kernel would give without swapping; nothing where it does not say.
std::optional<std::uint64_t> available_memory_bytes() {
    auto file = fs::real_file_system().open("/proc/meminfo", {});
    if (!file.ok()) {
        return std::nullopt;
    }
    std::string text(1024, '\0');
    const auto count = file.value()->read_at(std::as_writable_bytes(std::span(text)), 0);
    const std::string_view key = "MemAvailable:";
    const std::size_t begin = count.ok() ? text.find(key) : std::string::npos;
    const std::size_t number = text.find_first_not_of(' ', begin + key.size());
    if (begin == std::string::npos || number == std::string::npos) {
        return std::nullopt;
    }
    const auto kibibytes =
        base::parse_count(std::string_view(text).substr(number, text.find(' ', number) - number));
    return kibibytes ? std::optional(static_cast<std::uint64_t>(*kibibytes) * 1024) : std::nullopt;
}

// The live state, the snapshot, what is loaded and the page cache's copy of it.
std::uint64_t memory_bytes_needed(std::uint64_t state_bytes) {
    return 4 * state_bytes + checkpoint::TransferBuffers::kBytes * 4;
}

// The largest state up to `wanted` that memory and disk have room for.
std::uint64_t state_bytes_that_fit(std::uint64_t wanted, const std::string& directory) {
    std::uint64_t fitting = wanted;
    const auto memory = available_memory_bytes();
    const auto space = fs::real_file_system().space(directory);
    const auto has_room = [&](std::uint64_t bytes) {
        return (!memory || memory_bytes_needed(bytes) <= *memory) &&
               (!space.ok() ||
                checkpoint::StoreBench::disk_bytes_needed(bytes) <= space.value().available_bytes);
    };
    while (fitting > 1'000'000 && !has_room(fitting)) {
        fitting -= fitting / 8;
    }
    return fitting;
}

model::GptConfig choose_shape(const config::CommandLine& line, const std::string& directory) {
    if (line.has("bytes") && line.has("config")) {
        fail_usage("--bytes and --config both say how large the state is: give one");
    }
    if (line.has("bytes")) {
        return shape_of_bytes(count_option(line, "bytes", "", 1'000'000));
    }
    if (line.has("config")) {
        return shape_of_config(line.value("config"));
    }
    const model::GptConfig shape = gpt2_124m();
    const auto wanted = static_cast<std::uint64_t>(shape.parameter_count() * kBytesPerElement);
    const std::uint64_t fitting = state_bytes_that_fit(wanted, directory);
    if (fitting == wanted) {
        return shape;
    }
    base::log_warning("memory or disk is short: measuring {} instead of GPT-2 124M's {}",
                      base::bytes_in_words(fitting),
                      base::bytes_in_words(wanted));
    return shape_of_bytes(static_cast<std::int64_t>(fitting));
}

std::vector<checkpoint::TensorSource> to_sources(const std::vector<state::TensorBytes>& tensors) {
    std::vector<checkpoint::TensorSource> sources;
    sources.reserve(tensors.size());
    for (const state::TensorBytes& tensor : tensors) {
        sources.push_back({{tensor.name, tensor.dtype, tensor.shape}, tensor.bytes});
    }
    return sources;
}

struct BenchPlan {
    std::string directory;
    model::GptConfig shape;
    int rounds = 5;
    int copy_threads = 1;
    int read_threads = checkpoint::ReadOptions{}.thread_count;
};

struct BenchOutcome {
    BenchReport report;
    std::uint64_t state_bytes = 0;
    std::uint64_t extra_bytes = 0;  // memory that the snapshot and the first save took
    checkpoint::Readback disk_path = checkpoint::Readback::kCache;
};

// Runs the rounds. Between two measurements it looks whether it should stop.
class CheckpointBench {
public:
    explicit CheckpointBench(const BenchPlan& plan)
        : plan_(plan),
          capture_(model::ArenaLayout(plan.shape, 1)),
          meter_(telemetry::stderr_screen(),
                 "bench",
                 static_cast<std::uint64_t>(plan.rounds),
                 telemetry::MeterUnit::kItems,
                 base::monotonic_seconds(),
                 "rounds") {
        // Made of what is captured; the bytes must be there before the first save.
        capture_.capture();
        auto model = to_sources(capture_.snapshot().model_tensors());
        auto optimizer = to_sources(capture_.snapshot().optimizer_tensors());
        for (const auto* tensors : {&model, &optimizer}) {
            for (const checkpoint::TensorSource& tensor : *tensors) {
                outcome_.state_bytes += tensor.bytes.size();
            }
        }
        store_ = value_or_fail(checkpoint::StoreBench::open(
            fs::real_file_system(), plan.directory, std::move(model), std::move(optimizer)));
    }

    BenchOutcome run() {
        for (int round = 0; round < plan_.rounds; ++round) {
            measure_memory();
            measure_saving();
            measure_loading();
            meter_.update(static_cast<std::uint64_t>(round) + 1, base::monotonic_seconds());
        }
        add("list",
            fmt::format("list: scan of {} checkpoints", kListedCheckpoints),
            0,
            value_or_fail(store_->scan(kListedCheckpoints)));
        if (outcome_.state_bytes >= kRatioBytesMin) {
            add_ratios();
        }
        outcome_.disk_path = store_->disk_path();
        if (const base::Status removed = store_->remove(); !removed.ok()) {
            base::log_warning("{} is left behind: {}", store_->directory(), removed.error().what);
        }
        return std::move(outcome_);
    }

private:
    void add(std::string_view key, std::string_view label, std::uint64_t bytes, double seconds) {
        outcome_.report.add(key, label, bytes, seconds);
        if (stop_.stop_asked()) {
            throw base::Failure(train::StopRequest::exit_code_of(*stop_.signal()),
                                "stopped; what was measured is gone with its folder");
        }
    }

    void add_ratios() {
        BenchReport& report = outcome_.report;
        report.add_ratio("capture", "copy", 1.3);
        report.add_ratio("capture", "copy_all", 0);
        report.add_ratio("save", "disk_write", 0);
        report.add_ratio("load_device", "read_device", 1.5);
        report.add_ratio("load_cache", "read_cache", 1.5);
    }

    void measure_memory() {
        const std::uint64_t bytes = outcome_.state_bytes;
        add("copy", "copy by one thread", bytes, capture_.copy_by_one_thread());
        add("capture", "capture", bytes, capture_.capture());
        add("copy_all",
            fmt::format("copy by {} thread(s)", plan_.copy_threads),
            bytes,
            capture_.copy_by_all_threads());
    }

    void measure_saving() {
        const std::uint64_t bytes = outcome_.state_bytes;
        const checkpoint::BenchedSave saved = value_or_fail(store_->save());
        if (outcome_.extra_bytes == 0) {
            outcome_.extra_bytes =
                base::process_usage().peak_resident_bytes - capture_.peak_bytes_before_snapshot();
        }
        add("disk_write", "disk: write", bytes, value_or_fail(store_->write_raw()));
        add("save", "save", bytes, saved.whole_seconds);
        add("save_write", "  of it: write", bytes, saved.files.write_seconds);
        add("save_verify", "  of it: verify (read back)", bytes, saved.files.read_back_seconds);
        add("save_publish", "  of it: publish", 0, saved.publish_seconds);
        add("disk_read", "disk: read", bytes, value_or_fail(store_->read_raw()));
    }

    void measure_loading() {
        using checkpoint::ReadFrom;
        const std::uint64_t bytes = outcome_.state_bytes;
        const int threads = plan_.read_threads;
        add("read_device",
            fmt::format("plain read from the device, {} threads", threads),
            bytes,
            value_or_fail(store_->read_plain(ReadFrom::kDevice, threads)));
        add("load_device",
            "load and verify from the device",
            bytes,
            value_or_fail(store_->load(ReadFrom::kDevice, threads)));
        // Brings the files into the page cache.
        static_cast<void>(value_or_fail(store_->read_plain(ReadFrom::kCache, threads)));
        add("read_cache",
            fmt::format("plain read from the page cache, {} threads", threads),
            bytes,
            value_or_fail(store_->read_plain(ReadFrom::kCache, threads)));
        add("load_cache",
            "load and verify from the page cache",
            bytes,
            value_or_fail(store_->load(ReadFrom::kCache, threads)));
    }

    BenchPlan plan_;
    train::StopRequest stop_;
    CaptureBench capture_;
    telemetry::ProgressMeter meter_;
    BenchOutcome outcome_;
    std::unique_ptr<checkpoint::StoreBench> store_;
};

void print_outcome(const BenchPlan& plan, const BenchOutcome& outcome, bool as_json) {
    const bool direct = outcome.disk_path == checkpoint::Readback::kDevice;
    if (as_json) {
        nlohmann::ordered_json report = {{"bytes", outcome.state_bytes},
                                         {"directory", plan.directory},
                                         {"rounds", plan.rounds},
                                         {"copy_threads", plan.copy_threads},
                                         {"read_threads", plan.read_threads},
                                         {"disk_path", direct ? "device" : "cache"},
                                         {"listed_checkpoints", kListedCheckpoints},
                                         {"extra_memory_bytes", outcome.extra_bytes}};
        outcome.report.write_json(report);
        fmt::print("{}\n", report.dump(2));
        return;
    }
    fmt::print(
        "{} of weights and moments ({} layers, {} channels), {} rounds, {}: {}\n",
        base::bytes_in_words(outcome.state_bytes),
        plan.shape.n_layer,
        plan.shape.n_embd,
        plan.rounds,
        plan.directory,
        direct ? "O_DIRECT works" : "no O_DIRECT: what is said of the device may come from memory");
    fmt::print("{}\n", outcome.report.table());
    if (outcome.state_bytes < kRatioBytesMin) {
        fmt::print("  no ratios: below {} of state they say nothing (--bytes makes it larger)\n",
                   base::bytes_in_words(kRatioBytesMin));
    }
    fmt::print("  memory of snapshot and saving: {} (snapshot + {})\n",
               base::bytes_in_words(outcome.extra_bytes),
               base::bytes_in_words(outcome.extra_bytes -
                                    std::min(outcome.extra_bytes, outcome.state_bytes)));
}

}  // namespace

base::ExitCode run_bench(const std::vector<std::string>& arguments) {
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, kBenchOptions, arguments));
    if (line.has("help")) {
        print_command_help(kBenchHelp, kBenchOptions);
        return base::ExitCode::kDone;
    }
    if (line.positional != std::vector<std::string>{"checkpoint"}) {
        fail_usage(
            "bench needs what to measure: `holdfast bench checkpoint`; "
            "`holdfast bench --help` explains");
    }
    BenchPlan plan;
    plan.directory = line.value("dir", ".");
    plan.rounds = static_cast<int>(count_option(line, "repeat", "5", 1));
    const std::int64_t threads = count_option(line, "threads", "0");
    plan.copy_threads =
        static_cast<int>(threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency()));
    plan.read_threads = threads > 0 ? static_cast<int>(threads) : plan.read_threads;
    if (const auto there = fs::real_file_system().list(plan.directory); !there.ok()) {
        fail_usage("--dir: " + there.error().what);
    }
    plan.shape = choose_shape(line, plan.directory);
    set_up_torch(plan.copy_threads, /*deterministic=*/false);
    CheckpointBench bench(plan);
    print_outcome(plan, bench.run(), line.has("json"));
    return base::ExitCode::kDone;
}

}  // namespace holdfast::cli
