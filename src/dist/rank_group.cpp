#include "dist/rank_group.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/words.h"
#include "dist/listening_socket.h"
#include "dist/rank_environment.h"

namespace holdfast::dist {

using base::Result;
using base::Status;

namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
// More than any pipe holds: what a rank has left in one is read, and an end comes even if a process
// that escaped its group goes on writing.
constexpr int kDrainReadsMax = 64;

// One read; false when there is nothing more, now or ever.
bool read_into(LineRelay& relay, OwnedDescriptor& pipe) {
    std::array<char, kReadBytes> buffer{};
    const ssize_t count = ::read(pipe.number(), buffer.data(), buffer.size());
    if (count > 0) {
        relay.take({buffer.data(), static_cast<std::size_t>(count)});
        return true;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    relay.finish();
    pipe.close();
    return false;
}

// How likely an end is the cause of those it is found with, smaller is likelier: a crash, an error,
// a peer that was waited for in vain.
int distance_from_cause(const ChildEnd& end) {
    if (end.by_signal) {
        return 0;
    }
    return waited_in_vain(end) ? 2 : 1;
}

void earliest(std::optional<double>& first, const std::optional<double>& other) {
    if (other && (!first || *other < *first)) {
        first = other;
    }
}

}  // namespace

RankGroup::Rank::Rank(int number, ChildProcess started_process)
    : rank(number),
      process(std::move(started_process)),
      started_seconds(base::monotonic_seconds()) {}

RankGroup::RankGroup(const LaunchConfig& config,
                     SignalInbox& inbox,
                     RankOutput& output,
                     StopRecord& stop)
    : config_(config), inbox_(inbox), output_(output), stop_(stop) {}

Status RankGroup::start(const RankProgram& program, const AttemptOrder& order) {
    output_.set_leaves_out(false);
    std::optional<ListeningSocket> socket;
    int master_port = config_.master_port == 0 ? kDefaultMasterPort : config_.master_port;
    if (config_.nnodes == 1) {
        Result<ListeningSocket> listening = listen_on_loopback(config_.master_port);
        if (!listening.ok()) {
            return listening.error();
        }
        socket = std::move(listening).value();
        master_port = socket->port;
    }
    for (int local_rank = 0; local_rank < static_cast<int>(order.slots.size()); ++local_rank) {
        const bool gets_socket = socket && local_rank == 0;
        const Status started =
            start_rank(program,
                       order,
                       local_rank,
                       master_port,
                       gets_socket ? std::optional(socket->descriptor.number()) : std::nullopt);
        if (!started.ok()) {
            return started;
        }
    }
    // The socket closes here; rank 0 has it. Were it still open, the others would wait for a rank 0
    // that has died.
    return Status{};
}

Status RankGroup::start_rank(const RankProgram& program,
                             const AttemptOrder& order,
                             int local_rank,
                             int master_port,
                             std::optional<int> listen_fd) {
    RankOrder rank_order;
    RankPlace& place = rank_order.place;
    place.local_rank = local_rank;
    place.local_size = static_cast<int>(order.slots.size());
    place.node_rank = config_.node_rank;
    place.node_count = config_.nnodes;
    place.size = place.local_size * config_.nnodes;
    place.rank = config_.node_rank * place.local_size + local_rank;
    if (place.local_size < config_.nproc_per_node) {
        rank_order.slots = order.slots;
    }
    rank_order.master_host = config_.nnodes == 1 ? "127.0.0.1" : config_.master_addr;
    rank_order.master_port = master_port;
    rank_order.run_token = order.run_token;
    rank_order.restart_count = order.restart_count;
    rank_order.listen_fd = listen_fd;

    ChildOrder child;
    child.executable = program.executable;
    child.arguments = program.arguments;
    child.environment = rank_environment(program.environment, rank_order);
    // Rank 0 draws on a terminal itself: its live line and its colours are those of a single run.
    child.pipe_stdout = place.rank != 0 || !output_.out().is_terminal();
    child.pipe_stderr = place.rank != 0 || !output_.err().is_terminal();
    if (listen_fd) {
        child.inherited.push_back(*listen_fd);
    }
    Result<ChildProcess> process = ChildProcess::start(child);
    if (!process.ok()) {
        return process.error().within(fmt::format("starting rank {}", place.rank));
    }
    Rank& rank =
        *ranks_.emplace_back(std::make_unique<Rank>(place.rank, std::move(process).value()));
    const std::string prefix = place.rank == 0 ? "" : fmt::format("[rank {}] ", place.rank);
    if (child.pipe_stdout) {
        rank.streams.push_back(
            {&rank.process.stdout_pipe(), LineRelay(prefix, output_.out(), rank.last_lines)});
    }
    if (child.pipe_stderr) {
        rank.streams.push_back(
            {&rank.process.stderr_pipe(), LineRelay(prefix, output_.err(), rank.last_lines)});
    }
    return Status{};
}

GroupOutcome RankGroup::wait() {
    while (any_running()) {
        serve_once();
        keep_deadlines();
    }
    return outcome_;
}

bool RankGroup::any_running() const {
    return std::any_of(
        ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank->running; });
}

std::string RankGroup::running_ranks() const {
    std::string text;
    for (const auto& rank : ranks_) {
        if (rank->running) {
            text += fmt::format("{}{}", text.empty() ? "rank " : ", rank ", rank->rank);
        }
    }
    return text;
}

void RankGroup::serve_once() {
    std::vector<pollfd> polled = {{inbox_.descriptor(), POLLIN, 0}};
    std::vector<Stream*> streams;
    for (const auto& rank : ranks_) {
        for (Stream& stream : rank->streams) {
            const OutputSink& sink = stream.relay->sink();
            if (stream.pipe->is_open() && (!sink.is_full() || sink.leaves_out())) {
                polled.push_back({stream.pipe->number(), POLLIN, 0});
                streams.push_back(&stream);
            }
        }
    }
    output_.add_to(polled);
    std::optional<double> deadline_seconds = term_at_seconds_;
    earliest(deadline_seconds, kill_at_seconds_);
    if (!poll_until(polled, deadline_seconds)) {
        return;
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
        if (polled[i + 1].revents != 0) {
            read_stream(*streams[i]);
        }
    }
    output_.write_ready(polled);
    if (polled.front().revents != 0) {
        handle_signals();
    }
}

void RankGroup::read_stream(Stream& stream) {
    read_into(*stream.relay, *stream.pipe);
}

void RankGroup::drain_stream(Stream& stream) {
    for (int i = 0; i < kDrainReadsMax && stream.pipe->is_open(); ++i) {
        if (!read_into(*stream.relay, *stream.pipe)) {
            break;
        }
    }
    if (stream.pipe->is_open()) {
        stream.relay->finish();
        stream.pipe->close();
    }
}

void RankGroup::handle_signals() {
    bool child_ended = false;
    for (const int signal_number : inbox_.take()) {
        if (signal_number == SIGCHLD) {
            child_ended = true;
        } else if (signal_number == SIGTSTP) {
            stop_together();
        } else if (is_stop_signal(signal_number)) {
            pass_on_stop(signal_number);
        } else {
            pass_on(signal_number, 0);
        }
    }
    if (child_ended) {
        reap_ended();
    }
}

void RankGroup::pass_on(int signal_number, int value) {
    for (const auto& rank : ranks_) {
        if (rank->running) {
            rank->process.send(signal_number, value);
        }
    }
}

void RankGroup::pass_on_stop(int signal_number) {
    stop_.signals.push_back(signal_number);
    output_.set_leaves_out(true);
    pass_on(signal_number, static_cast<int>(stop_.signals.size()));
    if (stop_.signals.size() > 1) {
        earliest(kill_at_seconds_, base::monotonic_seconds() + config_.kill_seconds);
    }
}

void RankGroup::stop_together() {
    const auto send_all = [&](int signal_number) {
        for (const auto& rank : ranks_) {
            if (rank->running) {
                rank->process.send_group(signal_number);
            }
        }
    };
    send_all(SIGSTOP);
    // Returns when somebody lets this process go on (fg, bg, SIGCONT).
    ::raise(SIGSTOP);
    send_all(SIGCONT);
}

void RankGroup::reap_ended() {
    std::vector<RankEnd> ends;
    for (const auto& rank : ranks_) {
        if (!rank->running) {
            continue;
        }
        const std::optional<ChildEnd> end = rank->process.reap();
        if (!end) {
            continue;
        }
        rank->running = false;
        std::for_each(rank->streams.begin(), rank->streams.end(), drain_stream);
        ends.push_back({rank->rank,
                        rank->process.pid(),
                        *end,
                        base::monotonic_seconds() - rank->started_seconds});
    }
    std::stable_sort(ends.begin(), ends.end(), [](const RankEnd& a, const RankEnd& b) {
        return distance_from_cause(a.end) < distance_from_cause(b.end);
    });
    std::for_each(ends.begin(), ends.end(), [&](const RankEnd& end) { note_end(end); });
}

void RankGroup::note_end(const RankEnd& end) {
    const bool is_result = !end.end.by_signal && end.end.number == config_.result_exit_code;
    if (is_result || is_orderly(end.end, stop_)) {
        if (!outcome_.failure && outcome_.exit_code == 0) {
            outcome_.exit_code = exit_code_of(end.end, stop_);
        }
        return;
    }
    const bool is_first = !outcome_.failure;
    // A rank that waited for another may notice its error before it has ended with it.
    const bool is_the_cause = is_first || (waited_in_vain(outcome_.failure->end) &&
                                           !waited_in_vain(end.end) && !others_were_signalled_);
    if (!is_the_cause) {
        return;
    }
    outcome_.failure = end;
    outcome_.exit_code = exit_code_of(end.end, stop_);
    const auto rank = std::find_if(ranks_.begin(), ranks_.end(), [&](const auto& candidate) {
        return candidate->rank == end.rank;
    });
    outcome_.last_lines = (*rank)->last_lines.lines();
    outcome_.spoke_itself = (*rank)->streams.size() < 2;
    output_.set_leaves_out(true);
    std::string others;
    if (is_first && any_running()) {
        term_at_seconds_ = base::monotonic_seconds() + config_.grace_seconds;
        others = fmt::format("; {} may take {} to end",
                             running_ranks(),
                             base::duration_in_words(config_.grace_seconds));
    }
    output_.tell(in_words(end) + others);
}

void RankGroup::keep_deadlines() {
    const double now_seconds = base::monotonic_seconds();
    if (term_at_seconds_ && now_seconds >= *term_at_seconds_ && any_running()) {
        term_at_seconds_.reset();
        earliest(kill_at_seconds_, now_seconds + config_.kill_seconds);
        output_.tell(fmt::format("SIGTERM to {}, which did not end within {}",
                                 running_ranks(),
                                 base::duration_in_words(config_.grace_seconds)));
        others_were_signalled_ = true;
        pass_on(SIGTERM, static_cast<int>(stop_.signals.size()) + 1);
    }
    if (kill_at_seconds_ && now_seconds >= *kill_at_seconds_ && any_running()) {
        kill_at_seconds_.reset();
        term_at_seconds_.reset();
        output_.tell(fmt::format("SIGKILL to {}, which did not end {} after a signal",
                                 running_ranks(),
                                 base::duration_in_words(config_.kill_seconds)));
        stop_.killed = stop_.killed || stop_.signals.size() > 1;
        for (const auto& rank : ranks_) {
            if (rank->running) {
                rank->process.send_group(SIGKILL);
                outcome_.killed_ranks.push_back(rank->rank);
            }
        }
    }
}

}  // namespace holdfast::dist
