// holdfast bench collective: what the exchange of a training step takes between ranks, beside what
// the group's own collectives take for as many bytes.
#include <algorithm>
#include <bit>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "base/words.h"
#include "cli/bench_action.h"
#include "cli/bench_report.h"
#include "cli/bench_size.h"
#include "cli/command.h"
#include "cli/launch_options.h"
#include "cli/launch_ranks.h"
#include "cli/option_numbers.h"
#include "cli/rank_session.h"
#include "cli/run_environment.h"
#include "cli/run_memory.h"
#include "dist/collective_bench.h"
#include "model/arena.h"
#include "telemetry/progress_meter.h"
#include "train/stop_request.h"

namespace holdfast::cli {

namespace {

constexpr std::int64_t kGradientBytes = 4;  // of an element, fp32

constexpr std::string_view kText =
    "usage: holdfast bench collective --nproc-per-node N [--bytes SIZE | --config FILE] "
    "[--json]\n\n"
    "Sends gradients and weights between N ranks as a training step does, with nothing computed "
    "meanwhile, in\n"
    "turns with the plain all-to-all and all-gather of the same bytes and with an all-reduce. "
    "torchrun, mpirun\n"
    "and srun may start the ranks instead.\n\n";

const std::vector<config::CommandOption>& options() {
    static const std::vector<config::CommandOption> kOptions = [] {
        std::vector<config::CommandOption> list = {
            {"nproc-per-node", "N", "ranks on this machine; auto: one a GPU"},
            {"bytes", "SIZE", "size of the gradients; default: GPT-2 124M's, 475 MiB"},
            {"config", "FILE", "gradients, buckets, lanes and precision of this config instead"},
            {"precision", "WORD", "what weights come back in, bf16 or fp32; default: the config's"},
            {"device", "WORD", "auto, cpu or cuda; default: the config's"},
            {"threads", "N", "CPU threads of a rank; default: its share of the processors"},
            {"local-ranks",
             "K",
             "measure the exchange in two stages too, as if K ranks were a node"},
            {"repeat", "N", "rounds; default 5"},
            {"json", "", "print for programs"},
            {"help", "", "this text", "h"},
        };
        const std::vector<config::CommandOption> nodes = node_options();
        list.insert(list.begin() + 1, nodes.begin(), nodes.end());
        return list;
    }();
    return kOptions;
}

struct CollectivePlan {
    std::vector<dist::ArenaRange> buckets;
    std::int64_t elements = 0;
    bool is_bf16 = false;
    std::string device;  // as asked for
    int rounds = 5;
    int local_ranks = 0;  // of a node in the exchange in two stages; 0: there is none

    [[nodiscard]] std::int64_t weight_bytes() const { return is_bf16 ? 2 : 4; }
};

bool weights_are_bf16(const config::CommandLine& line, const config::Settings& settings) {
    const std::string word = line.value("precision");
    if (!word.empty() && word != "bf16" && word != "fp32") {
        fail_usage(fmt::format("--precision: expected bf16 or fp32, found '{}'", word));
    }
    return word.empty() ? settings.run.precision == model::Precision::kBf16 : word == "bf16";
}

int local_ranks_of(const config::CommandLine& line, const dist::RankPlace& place) {
    if (!line.has("local-ranks")) {
        return place.node_count > 1 ? place.local_size : 0;
    }
    const std::int64_t count = count_option(line, "local-ranks", "", 2);
    if (count >= place.size || place.size % count != 0 ||
        !std::has_single_bit(static_cast<std::uint64_t>(count))) {
        fail_usage(
            fmt::format("--local-ranks {}: expected a power of two that divides the {} ranks "
                        "and is less",
                        count,
                        place.size));
    }
    return static_cast<int>(count);
}

using HasRoom = std::function<bool(std::uint64_t gradient_bytes)>;

// The buckets that a run of this shape on so many ranks would have.
CollectivePlan make_plan(const config::CommandLine& line,
                         const dist::RankPlace& place,
                         const HasRoom& has_room) {
    const config::Settings settings = bench_settings(line);
    CollectivePlan plan;
    plan.rounds = static_cast<int>(count_option(line, "repeat", "5", 1));
    plan.is_bf16 = weights_are_bf16(line, settings);
    plan.device = device_option(line, settings.run.device);
    plan.local_ranks = local_ranks_of(line, place);
    const model::GptConfig shape =
        choose_bench_shape(line, kGradientBytes, has_room, /*is_quiet=*/place.rank != 0);
    const std::int64_t lanes = settings.batch.lanes == 0 ? place.size : settings.batch.lanes;
    check_rank_count(place.size, lanes);
    const model::ArenaLayout layout(shape, lanes);
    plan.elements = layout.element_count();
    plan.buckets = exchange_buckets(layout);
    return plan;
}

// Whether this machine's memory takes all its ranks; of several machines, each of them. Collective.
HasRoom room_everywhere(const config::CommandLine& line, RankSession& session) {
    const std::int64_t weight_bytes = weights_are_bf16(line, bench_settings(line)) ? 2 : 4;
    return [&session, weight_bytes, memory = available_memory_bytes()](std::uint64_t bytes) {
        const std::int64_t elements = static_cast<std::int64_t>(bytes) / kGradientBytes;
        // Of them the largest bucket, the embeddings, at most a third.
        const std::int64_t needed =
            session.place().local_size *
            dist::CollectiveBench::bytes_needed(elements, elements / 3 + 1, weight_bytes);
        const std::int64_t fits = !memory || static_cast<std::uint64_t>(needed) <= *memory ? 1 : 0;
        const auto of_ranks = session.group().gather_words({&fits, 1});
        return std::all_of(
            of_ranks.begin(), of_ranks.end(), [](const auto& words) { return words.front() == 1; });
    };
}

// What the plan rests on must be the same on all ranks.
void check_alike(const CollectivePlan& plan, RankSession& session) {
    const std::vector<std::int64_t> mine = {plan.elements,
                                            static_cast<std::int64_t>(plan.buckets.size()),
                                            plan.weight_bytes(),
                                            plan.rounds,
                                            plan.local_ranks};
    for (const std::vector<std::int64_t>& other : session.group().gather_words(mine)) {
        if (other != mine) {
            fail_usage(
                "the ranks do not measure the same: start all with the same words and config");
        }
    }
}

// Runs the rounds. All ranks make all measurements; between two rounds they agree to stop.
class Rounds {
public:
    Rounds(const CollectivePlan& plan, RankSession& session, at::Device device)
        : plan_(plan), session_(session) {
        if (session.group().stages().size() > 1) {
            flat_ = session.form_group("flat/", session.size());
        }
        if (plan.local_ranks > 0) {
            staged_ = session.form_group("staged/", plan.local_ranks);
        }
        const bool has_stages = staged_ != nullptr && staged_->stages().size() == 2;
        bench_.emplace(flat_ != nullptr ? *flat_ : session.group(),
                       has_stages ? staged_.get() : nullptr,
                       plan.buckets,
                       plan.is_bf16 ? at::kBFloat16 : at::kFloat,
                       device);
        is_staged_ = has_stages;
    }

    void run() {
        telemetry::ProgressMeter meter(telemetry::stderr_screen(),
                                       "bench",
                                       static_cast<std::uint64_t>(plan_.rounds),
                                       telemetry::MeterUnit::kItems,
                                       base::monotonic_seconds(),
                                       "rounds");
        // Before the first round: pages are touched, connections are warm.
        bench_->exchange();
        for (int round = 0; round < plan_.rounds; ++round) {
            measure();
            stop_together();
            if (session_.rank() == 0) {
                meter.update(static_cast<std::uint64_t>(round) + 1, base::monotonic_seconds());
            }
        }
        report_.add_ratio("exchange", "raw", 0);
        report_.add_ratio("exchange", "all_reduce", 0);
        report_.add_ratio("staged_exchange", "exchange", 0);
    }

    [[nodiscard]] const BenchReport& report() const { return report_; }
    [[nodiscard]] const dist::CollectiveBench& bench() const { return *bench_; }
    [[nodiscard]] std::int64_t formula_bytes() const {
        return dist::CollectiveBench::sent_bytes_by_formula(
            plan_.elements, session_.size(), plan_.weight_bytes());
    }

private:
    void measure() {
        const auto bytes = static_cast<std::uint64_t>(formula_bytes());
        const auto ring_bytes = static_cast<std::uint64_t>(
            2 * kGradientBytes * (plan_.elements / session_.size()) * (session_.size() - 1));
        add_exchange("exchange", "exchange", bench_->exchange());
        report_.add("raw", "raw: all-to-all, all-gather", bytes, bench_->raw());
        if (is_staged_) {
            add_exchange("staged_exchange",
                         fmt::format("exchange in two stages, {} ranks a node", plan_.local_ranks),
                         bench_->staged_exchange());
        }
        report_.add("all_reduce", "all-reduce of the gradients", ring_bytes, bench_->all_reduce());
    }

    void add_exchange(std::string_view key, const std::string& label, double seconds) {
        HF_CHECK(bench_->sent_bytes() == formula_bytes(),
                 "{} bytes were sent, {} by the formula",
                 bench_->sent_bytes(),
                 formula_bytes());
        report_.add(key, label, static_cast<std::uint64_t>(formula_bytes()), seconds);
    }

    void stop_together() {
        const std::int64_t mine = stop_.signal().value_or(0);
        for (const std::vector<std::int64_t>& heard : session_.group().gather_words({&mine, 1})) {
            if (heard.front() != 0) {
                throw base::Failure(
                    train::StopRequest::exit_code_of(static_cast<int>(heard.front())),
                    "stopped; what was measured is gone");
            }
        }
    }

    const CollectivePlan& plan_;
    RankSession& session_;
    train::StopRequest stop_;
    std::unique_ptr<dist::Communicator> flat_;
    std::unique_ptr<dist::Communicator> staged_;
    std::optional<dist::CollectiveBench> bench_;
    bool is_staged_ = false;
    BenchReport report_;
};

void print_json(const CollectivePlan& plan,
                const RankSession& session,
                const Rounds& rounds,
                at::Device device) {
    const auto sockets = rounds.bench().sent_socket_bytes();
    nlohmann::ordered_json report = {
        {"ranks", session.size()},
        {"nodes", session.place().node_count},
        {"local_ranks",
         plan.local_ranks > 0 ? nlohmann::ordered_json(plan.local_ranks)
                              : nlohmann::ordered_json()},
        {"device", device_name(device)},
        {"rounds", plan.rounds},
        {"elements", plan.elements},
        {"buckets", plan.buckets.size()},
        {"gradient_bytes", kGradientBytes * plan.elements},
        {"weights", plan.is_bf16 ? "bf16" : "fp32"},
        {"weight_bytes", plan.weight_bytes() * plan.elements},
        {"sent_bytes",
         {{"formula", rounds.formula_bytes()},
          {"counted", rounds.bench().sent_bytes()},
          {"sockets", sockets ? nlohmann::ordered_json(*sockets) : nlohmann::ordered_json()}}}};
    rounds.report().write_json(report);
    fmt::print("{}\n", report.dump(2));
}

void print_table(const CollectivePlan& plan,
                 const RankSession& session,
                 const Rounds& rounds,
                 at::Device device) {
    const auto words = [](std::int64_t bytes) {
        return base::bytes_in_words(static_cast<std::uint64_t>(bytes));
    };
    fmt::print(
        "{} of gradients and {} of weights ({}) in {} buckets, {} ranks on {} node(s), {} "
        "rounds, {}\n",
        words(kGradientBytes * plan.elements),
        words(plan.weight_bytes() * plan.elements),
        plan.is_bf16 ? "bf16" : "fp32",
        plan.buckets.size(),
        session.size(),
        session.place().node_count,
        plan.rounds,
        device_name(device));
    fmt::print("{}\n", rounds.report().table());
    fmt::print(
        "  a rank sends a step {} ({} bytes) by the formula ({} + 4) N (n - 1) / n, and {} "
        "bytes as counted\n",
        words(rounds.formula_bytes()),
        rounds.formula_bytes(),
        plan.weight_bytes(),
        rounds.bench().sent_bytes());
    if (const auto sockets = rounds.bench().sent_socket_bytes()) {
        fmt::print("  its sockets sent {} bytes, with loss, norm and what keeps ranks in step\n",
                   *sockets);
    }
    fmt::print("  GB/s: what a rank sends; of the all-reduce what a ring would\n");
}

base::ExitCode measure(const config::CommandLine& line, const dist::LaunchEnvironment& started_by) {
    const dist::RankPlace& place = started_by.place;
    if (place.size < 2) {
        fail_usage(
            "one rank exchanges nothing: --nproc-per-node 2 or more, or start the ranks with "
            "torchrun, mpirun or srun");
    }
    const config::Settings settings = bench_settings(line);
    const at::Device device =
        choose_device(device_option(line, settings.run.device), place.local_rank);
    set_up_torch(threads_option(line, place.local_size), /*deterministic=*/false);
    const std::unique_ptr<RankSession> session =
        RankSession::join(started_by, settings.dist, device);
    try {
        const CollectivePlan plan = make_plan(line, place, room_everywhere(line, *session));
        check_alike(plan, *session);
        Rounds rounds(plan, *session, device);
        rounds.run();
        if (session->rank() == 0 && line.has("json")) {
            print_json(plan, *session, rounds, device);
        } else if (session->rank() == 0) {
            print_table(plan, *session, rounds, device);
        }
    } catch (const base::Failure& failure) {
        throw session->explain(failure);
    }
    return base::ExitCode::kDone;
}

base::ExitCode run(const config::CommandLine& line, const std::vector<std::string>& arguments) {
    const dist::LaunchEnvironment started_by =
        value_or_fail(dist::read_launch_environment(dist::process_environment));
    const dist::LaunchConfig launch = parse_launch(line, [&](int nnodes) {
        if (line.value("nproc-per-node") == "auto") {
            return started_by.launcher == dist::Launcher::kNone
                       ? automatic_rank_count(line.value("device", "auto"), 0, nnodes)
                       : started_by.place.local_size;
        }
        return static_cast<int>(count_option(line, "nproc-per-node", "1", 1));
    });
    if (!must_start_ranks(launch.world_size(), /*is_explicit=*/true, started_by)) {
        return measure(line, started_by);
    }
    // What can be said before there are ranks is said once.
    static_cast<void>(make_plan(line,
                                {.size = launch.world_size(),
                                 .local_size = launch.nproc_per_node,
                                 .node_count = launch.nnodes},
                                [](std::uint64_t /*bytes*/) { return true; }));
    std::vector<std::string> words = {"bench"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return start_ranks(launch, words);
}

}  // namespace

BenchAction bench_collective_action() {
    return {.name = "collective",
            .summary = "the exchange between ranks beside the plain collectives of as many bytes",
            .text = kText,
            .options = options(),
            .run = run};
}

}  // namespace holdfast::cli
