// holdfast bench checkpoint: what saving and loading a run's state takes on this machine, beside
// what its memory and its disk give.
#include <algorithm>
#include <array>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/process_usage.h"
#include "base/words.h"
#include "checkpoint/reader.h"
#include "checkpoint/store_bench.h"
#include "cli/bench_action.h"
#include "cli/bench_report.h"
#include "cli/bench_size.h"
#include "cli/capture_bench.h"
#include "cli/command.h"
#include "cli/option_numbers.h"
#include "cli/run_environment.h"
#include "fs/real_file_system.h"
#include "telemetry/progress_meter.h"
#include "train/stop_request.h"

namespace holdfast::cli {

namespace {

const std::array kOptions = {
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

constexpr std::string_view kText =
    "usage: holdfast bench checkpoint [--bytes SIZE | --config FILE] [--dir DIR] [--json]\n\n"
    "Saves and loads a state as a run does, in a folder of its own that is removed again, in turns "
    "with plain\n"
    "copies, writes and reads of as many bytes.\n\n";

constexpr std::uint64_t kListedCheckpoints = 1000;
// Below, a state fits into the caches of a processor and what a file costs beside its bytes counts
// for more than they do: a ratio says nothing.
constexpr std::uint64_t kRatioBytesMin = std::uint64_t{32} << 20U;
constexpr std::int64_t kBytesPerElement = 12;  // weights and two moments, fp32

// The live state, the snapshot, what is loaded and the page cache's copy of it.
std::uint64_t memory_bytes_needed(std::uint64_t state_bytes) {
    return 4 * state_bytes + checkpoint::TransferBuffers::kBytes * 4;
}

// Of the state that memory and disk have room for.
model::GptConfig choose_shape(const config::CommandLine& line, const std::string& directory) {
    const auto memory = available_memory_bytes();
    const auto space = fs::real_file_system().space(directory);
    return choose_bench_shape(line, kBytesPerElement, [&](std::uint64_t bytes) {
        return (!memory || memory_bytes_needed(bytes) <= *memory) &&
               (!space.ok() ||
                checkpoint::StoreBench::disk_bytes_needed(bytes) <= space.value().available_bytes);
    });
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

base::ExitCode run(const config::CommandLine& line, const std::vector<std::string>& /*arguments*/) {
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

}  // namespace

BenchAction bench_checkpoint_action() {
    return {.name = "checkpoint",
            .summary = "saving and loading beside what memory and disk give",
            .text = kText,
            .options = kOptions,
            .run = run};
}

}  // namespace holdfast::cli
