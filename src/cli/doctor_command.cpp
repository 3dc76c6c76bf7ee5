// holdfast doctor: proves this machine before a run is trusted to it. Every rank checks its own
// device; rank 0 looks at the machine and the disk, and tells.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/words.h"
#include "cli/bench_size.h"
#include "cli/command.h"
#include "cli/launch_options.h"
#include "cli/launch_ranks.h"
#include "cli/option_numbers.h"
#include "cli/rank_session.h"
#include "cli/run_environment.h"
#include "dist/exchange_check.h"
#include "fs/disk_probe.h"
#include "fs/real_file_system.h"
#include "kernels/kernels.h"
#include "model/model_check.h"
#include "train/stop_request.h"

namespace holdfast::cli {

namespace {

constexpr std::string_view kText =
    "usage: holdfast doctor [--dir DIR] [--device cpu|cuda] [--nproc-per-node N] [--json]\n\n"
    "Proves this machine in a minute: kernels and a small model on each device against the CPU, "
    "twice the same bits;\n"
    "the exchange between ranks, bit for bit; what the disk can do of what checkpoints need; "
    "limits. Nothing is left.\n"
    "Ends with 1 when something failed. torchrun, mpirun and srun may start the ranks instead, on "
    "several machines too.\n\n";

constexpr std::int64_t kRanksOnACpu = 2;
// With which rank 0 tells the process that started it that a check failed: it has told people why.
constexpr int kCheckFailed = 10;
constexpr std::uint64_t kProbeBytes = std::uint64_t{128} << 20U;
// NCCL's channels between the GPUs of a machine; containers often have 64 MiB.
constexpr std::uint64_t kSharedMemoryBytesWanted = std::uint64_t{1} << 30U;
constexpr rlim_t kOpenFilesWanted = 1024;

const std::vector<config::CommandOption>& options() {
    static const std::vector<config::CommandOption> kOptions = [] {
        std::vector<config::CommandOption> list = {
            {"dir", "DIR", "where checkpoints will lie; default: this folder"},
            {"device", "WORD", "auto, cpu or cuda; default auto"},
            {"nproc-per-node", "N", "ranks on this machine; default: one a GPU, or two on a CPU"},
            {"threads", "N", "CPU threads of a rank; default: its share of the processors"},
            {"join-timeout", "S", "seconds in which the other ranks must come; default 60"},
            {"json", "", "print for programs"},
            {"help", "", "this text", "h"},
        };
        const std::vector<config::CommandOption> nodes = node_options();
        list.insert(list.begin() + 3, nodes.begin(), nodes.end());
        return list;
    }();
    return kOptions;
}

enum class Verdict { kFine, kNote, kFailed };

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
        case Verdict::kFine:
            return "ok";
        case Verdict::kNote:
            return "note";
        case Verdict::kFailed:
            return "FAIL";
    }
    return "";
}

// What is told, line by line as it is found.
class Report {
public:
    explicit Report(bool is_json) : is_json_(is_json) {}

    void add(std::string_view topic, Verdict verdict, const std::string& words) {
        failed_count_ += verdict == Verdict::kFailed ? 1 : 0;
        if (is_json_) {
            lines_.push_back({{"topic", topic}, {"verdict", to_string(verdict)}, {"words", words}});
        } else {
            fmt::print("  {:<4}  {:<9}  {}\n", to_string(verdict), topic, words);
            std::fflush(stdout);
        }
    }
    // Of a check: its error, or what it proved.
    void add_check(std::string_view topic, const std::string& error, const std::string& proved) {
        add(topic,
            error.empty() ? Verdict::kFine : Verdict::kFailed,
            error.empty() ? proved : error);
    }

    // Whether nothing failed.
    [[nodiscard]] bool finish() const {
        if (is_json_) {
            fmt::print(
                "{}\n",
                nlohmann::ordered_json{{"failed", failed_count_}, {"checks", lines_}}.dump(2));
        } else if (failed_count_ > 0) {
            fmt::print("{} of the checks failed\n", failed_count_);
        } else {
            fmt::print("nothing failed\n");
        }
        return failed_count_ == 0;
    }

private:
    bool is_json_;
    int failed_count_ = 0;
    nlohmann::ordered_json lines_ = nlohmann::ordered_json::array();
};

void look_at_machine(Report& report, std::int64_t threads, bool uses_gpu) {
    const base::BuildInfo& build = base::build_info();
    report.add("program",
               Verdict::kFine,
               fmt::format("holdfast {} (commit {}), libtorch {}, {} flavour",
                           build.version,
                           build.commit,
                           TORCH_VERSION,
                           build.flavour));
    report.add("processor",
               Verdict::kFine,
               fmt::format("{}; {} of them, {} a rank",
                           device_name(at::kCPU),
                           std::thread::hardware_concurrency(),
                           threads));
    const int gpus = gpu_count();
    report.add("GPUs",
               Verdict::kFine,
               gpus > 0 ? fmt::format("{}", gpus) : std::string("none that this build can use"));
    const std::optional<std::uint64_t> memory = available_memory_bytes();
    report.add("memory",
               memory ? Verdict::kFine : Verdict::kNote,
               memory ? base::bytes_in_words(*memory) + " free" : "the kernel does not say");
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        const bool enough = files.rlim_cur >= kOpenFilesWanted;
        report.add("files",
                   enough ? Verdict::kFine : Verdict::kNote,
                   fmt::format("{} may be open at once{}",
                               files.rlim_cur,
                               enough ? "" : ": many ranks and shards need more (ulimit -n)"));
    }
    const auto shared = fs::real_file_system().space("/dev/shm");
    if (uses_gpu && gpus > 1 && shared.ok()) {
        const bool enough = shared.value().total_bytes >= kSharedMemoryBytesWanted;
        report.add("/dev/shm",
                   enough ? Verdict::kFine : Verdict::kNote,
                   fmt::format("{}{}",
                               base::bytes_in_words(shared.value().total_bytes),
                               enough ? ""
                                      : ": NCCL may want more between GPUs of one machine (in a "
                                        "container: --shm-size=1g)"));
    }
}

std::string rate_in_words(std::uint64_t bytes, double seconds) {
    return fmt::format("{:.2f} GB/s", static_cast<double>(bytes) / 1e9 / std::max(seconds, 1e-9));
}

void look_at_disk(Report& report, const std::string& directory) {
    fs::FileSystem& disk = fs::real_file_system();
    const auto space = disk.space(directory);
    const base::Result<fs::DiskProbe> probed =
        space.ok() && space.value().available_bytes < 2 * kProbeBytes
            ? base::Error{base::ErrorKind::kNoSpace,
                          fmt::format("{} has {} free, and to try it takes {}: make room, or "
                                      "name another --dir",
                                      directory,
                                      base::bytes_in_words(space.value().available_bytes),
                                      base::bytes_in_words(2 * kProbeBytes)),
                          0}
            : fs::probe_disk(disk, directory, kProbeBytes);
    if (!probed.ok()) {
        report.add("disk", Verdict::kFailed, probed.error().what);
        return;
    }
    const fs::DiskProbe& probe = probed.value();
    report.add(
        "disk",
        Verdict::kFine,
        fmt::format("{}: {} free; {} written and synced at {}, read at {}{}; a small file is "
                    "durable in {:.1f} ms",
                    directory,
                    space.ok() ? base::bytes_in_words(space.value().available_bytes) : "?",
                    base::bytes_in_words(probe.bytes),
                    rate_in_words(probe.bytes, probe.write_seconds),
                    rate_in_words(probe.bytes, probe.read_seconds),
                    probe.has_direct_reads ? " past the cache" : "",
                    1e3 * probe.sync_seconds));
    const auto lacks = [&](bool has, std::string_view words) {
        if (!has) {
            report.add("disk", Verdict::kNote, std::string(words));
        }
    };
    lacks(probe.has_locks, "no locks: see to it that a run is started once (--allow-unlocked)");
    lacks(probe.has_reservation, "no reservations: a full disk shows in the middle of a save");
    lacks(probe.has_hard_links, "no hard links: best, epoch and keep are copies, and take room");
    lacks(probe.has_symlinks, "no symlinks: there will be no `latest`");
    lacks(probe.has_direct_reads,
          "no direct reads: what is read back after a save may come from memory");
}

// What a rank proves of its own device; what is wrong, or empty.
struct DeviceChecks {
    std::string kernels;
    std::string model;
};

std::string error_of(const base::Status& status) {
    return status.ok() ? "" : status.error().what;
}

DeviceChecks check_device(at::Device device) {
    return {error_of(kernels::self_check(device)), error_of(model::self_check(device))};
}

void tell_device(Report& report, const std::string& who, const DeviceChecks& checks) {
    const auto add =
        [&](std::string_view topic, const std::string& error, std::string_view proved) {
            report.add_check(topic,
                             error.empty() ? error : fmt::format("{}: {}", who, error),
                             fmt::format("{}: {}", who, proved));
        };
    add("kernels", checks.kernels, "each within rounding of libtorch on the CPU");
    add("model",
        checks.model,
        "fp32 and bf16, the same bits twice, and as near the CPU as rounding is");
}

std::string rank_in_words(int rank, at::Device device) {
    return fmt::format("rank {} on {}", rank, device.str());
}

// All ranks; told by rank 0.
void check_ranks(Report& report, RankSession& session, at::Device device) {
    const DeviceChecks mine = check_device(device);
    const std::vector<std::string> whos =
        session.group().gather_texts(rank_in_words(session.rank(), device));
    const std::vector<std::string> kernels = session.group().gather_texts(mine.kernels);
    const std::vector<std::string> models = session.group().gather_texts(mine.model);
    if (session.rank() == 0) {
        for (std::size_t rank = 0; rank < whos.size(); ++rank) {
            tell_device(report, whos.at(rank), {kernels.at(rank), models.at(rank)});
        }
    }
    const double begin_seconds = base::monotonic_seconds();
    const std::string wrong = error_of(dist::self_check(session.group(), device));
    if (session.rank() == 0) {
        report.add_check(
            "exchange",
            wrong,
            fmt::format("{} ranks on {} node(s), {}, in {}: sums of gradients in the tree "
                        "of lanes, weights and loss, bit for bit",
                        session.size(),
                        session.place().node_count,
                        device.is_cuda() ? "NCCL" : "gloo",
                        base::duration_in_words(base::monotonic_seconds() - begin_seconds)));
    }
}

base::ExitCode examine(const config::CommandLine& line, const dist::LaunchEnvironment& started_by) {
    const dist::RankPlace& place = started_by.place;
    const at::Device device = choose_device(line.value("device", "auto"), place.local_rank);
    const std::int64_t threads = threads_option(line, place.local_size);
    set_up_torch(threads, /*deterministic=*/true);
    Report report(line.has("json"));
    // The first signal lets what is being tried be cleared away.
    const train::StopRequest stop;
    const auto end_if_stopped = [&] {
        if (stop.stop_asked()) {
            throw base::Failure(train::StopRequest::exit_code_of(*stop.signal()),
                                "stopped before all was checked");
        }
    };
    if (place.rank == 0) {
        if (!line.has("json")) {
            fmt::print("this machine, {} rank(s) on {}\n",
                       place.size,
                       device.is_cuda() ? "GPUs" : "the CPU");
        }
        look_at_machine(report, threads, device.is_cuda());
        look_at_disk(report, line.value("dir", "."));
    }
    end_if_stopped();
    dist::DistConfig patience;
    patience.join_timeout_seconds = real_option(line, "join-timeout", "60");
    const std::unique_ptr<RankSession> session = RankSession::join(started_by, patience, device);
    if (session == nullptr) {
        tell_device(report, rank_in_words(0, device), check_device(device));
        return report.finish() ? base::ExitCode::kDone : base::ExitCode::kFailed;
    }
    try {
        check_ranks(report, *session, device);
    } catch (const base::Failure& failure) {
        throw session->explain(failure);
    }
    end_if_stopped();
    if (place.rank != 0 || report.finish()) {
        return base::ExitCode::kDone;
    }
    return started_by.launcher == dist::Launcher::kHoldfast
               ? static_cast<base::ExitCode>(kCheckFailed)
               : base::ExitCode::kFailed;
}

int default_rank_count(const std::string& device) {
    const int gpus = device == "cpu" ? 0 : gpu_count();
    return gpus > 0 ? gpus : static_cast<int>(kRanksOnACpu);
}

}  // namespace

base::ExitCode run_doctor(const std::vector<std::string>& arguments) {
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, options(), arguments));
    if (line.has("help")) {
        print_command_help(kText, options());
        return base::ExitCode::kDone;
    }
    if (!line.positional.empty()) {
        fail_usage(fmt::format("doctor takes options only, found '{}'", line.positional.front()));
    }
    const std::string device = device_option(line, "auto");
    const dist::LaunchEnvironment started_by =
        value_or_fail(dist::read_launch_environment(dist::process_environment));
    dist::LaunchConfig launch = parse_launch(line, [&](int /*nnodes*/) {
        const bool is_default =
            !line.has("nproc-per-node") || line.value("nproc-per-node") == "auto";
        if (!is_default) {
            return static_cast<int>(count_option(line, "nproc-per-node", "1", 1));
        }
        return started_by.launcher == dist::Launcher::kNone ? default_rank_count(device)
                                                            : started_by.place.local_size;
    });
    const bool is_explicit = line.has("nproc-per-node") || launch.nnodes > 1;
    if (!must_start_ranks(launch.world_size(), is_explicit, started_by)) {
        return examine(line, started_by);
    }
    std::vector<std::string> words = {"doctor"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    launch.result_exit_code = kCheckFailed;
    const base::ExitCode exit_code = start_ranks(launch, words);
    return static_cast<int>(exit_code) == kCheckFailed ? base::ExitCode::kFailed : exit_code;
}

}  // namespace holdfast::cli
