// Explores crash states of one life after another until so many were seen: crash_state_soak STATES
// [WORKERS]. Each worker is a process with lives of its own; what they have seen is counted once
// over all of them. Prints a line now and then and one at the end; exit code 1 when a state broke a
// promise.

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <malloc.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "crash_exploration.h"

namespace holdfast::checkpoint {
namespace {

// What a worker tells after each act: this, then the states, then the violation.
struct Message {
    std::uint64_t life = 0;
    std::uint64_t act = 0;
    std::uint64_t first_cut_count = 0;
    std::uint64_t nested_count = 0;
    std::uint64_t violation_bytes = 0;
};

void write_all(int pipe, const void* data, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
        const ssize_t count = ::write(pipe, static_cast<const char*>(data) + done, bytes - done);
        HF_CHECK(count > 0, "a worker cannot tell what it saw: errno {}", errno);
        done += static_cast<std::size_t>(count);
    }
}

// False at the end of the pipe.
bool read_all(int pipe, void* data, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
        const ssize_t count = ::read(pipe, static_cast<char*>(data) + done, bytes - done);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        done += static_cast<std::size_t>(count);
    }
    return true;
}

void send(int pipe,
          Message message,
          const CrashExploration::NewStates& states,
          const std::string& violation) {
    message.first_cut_count = states.first_cuts.size();
    message.nested_count = states.nested.size();
    message.violation_bytes = violation.size();
    write_all(pipe, &message, sizeof message);
    write_all(pipe, states.first_cuts.data(), states.first_cuts.size() * sizeof(std::uint64_t));
    write_all(pipe, states.nested.data(), states.nested.size() * sizeof(std::uint64_t));
    write_all(pipe, violation.data(), violation.size());
}

// Lives until it is killed, or a state breaks a promise.
void explore_lives(int pipe, std::uint64_t first_life, std::uint64_t life_step) {
    // A start on a state takes and gives back megabytes: the allocator keeps them, or each costs
    // cleared pages.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    base::capture_log([](base::LogLevel, std::string_view) {});
    ExplorationOptions options;
    options.bounds = {.exhaustive_max = 1024, .pairs_max = 200, .samples = 200};
    options.nested_bounds = {.exhaustive_max = 16, .pairs_max = 4, .samples = 4};
    CrashExploration exploration(options);
    for (std::uint64_t life = first_life;; life += life_step) {
        for (std::size_t act = 0; act < kActCount; ++act) {
            exploration.explore(record_act(static_cast<Act>(act), life), life);
            const bool is_wrong = !exploration.violations().empty();
            send(pipe,
                 {.life = life, .act = act},
                 exploration.take_new_states(),
                 is_wrong ? exploration.violations().front() : "");
            if (is_wrong) {
                return;
            }
        }
    }
}

struct Worker {
    pid_t pid = -1;
    int pipe = -1;
};

Worker start_worker(std::uint64_t first_life, std::uint64_t life_step) {
    int ends[2] = {-1, -1};
    HF_CHECK(::pipe(ends) == 0, "no pipe: errno {}", errno);
    const pid_t pid = ::fork();
    HF_CHECK(pid >= 0, "no process: errno {}", errno);
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::close(ends[0]);
        explore_lives(ends[1], first_life, life_step);
        ::_exit(0);
    }
    ::close(ends[1]);
    return {pid, ends[0]};
}

// What all workers have seen.
class Tally {
public:
    // Takes the next message from a worker; false when it has ended.
    bool take(const Worker& worker) {
        Message message;
        if (!read_all(worker.pipe, &message, sizeof message)) {
            return false;
        }
        std::vector<std::uint64_t> states(message.first_cut_count + message.nested_count);
        std::string violation(message.violation_bytes, '\0');
        if (!read_all(worker.pipe, states.data(), states.size() * sizeof(std::uint64_t)) ||
            !read_all(worker.pipe, violation.data(), violation.size())) {
            return false;
        }
        for (std::size_t i = 0; i < states.size(); ++i) {
            const bool is_new = seen_.insert(states[i]).second;
            nested_ += is_new && i >= message.first_cut_count ? 1 : 0;
        }
        if (!violation.empty()) {
            violations_.push_back(std::move(violation));
        }
        std::printf("life %llu, act %llu: %zu states, %llu of them of starts cut short, %.0f s\n",
                    static_cast<unsigned long long>(message.life + 1),
                    static_cast<unsigned long long>(message.act + 1),
                    seen_.size(),
                    static_cast<unsigned long long>(nested_),
                    base::monotonic_seconds() - begin_seconds_);
        std::fflush(stdout);
        return true;
    }

    [[nodiscard]] std::size_t states() const { return seen_.size(); }
    [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

private:
    double begin_seconds_ = base::monotonic_seconds();
    std::unordered_set<std::uint64_t> seen_;
    std::uint64_t nested_ = 0;
    std::vector<std::string> violations_;
};

int soak(std::uint64_t states_wanted, std::uint64_t worker_count) {
    std::vector<Worker> workers;
    for (std::uint64_t i = 0; i < worker_count; ++i) {
        workers.push_back(start_worker(i, worker_count));
    }
    Tally tally;
    bool is_lost = false;
    while (tally.states() < states_wanted && tally.violations().empty() && !is_lost) {
        std::vector<pollfd> polled;
        for (const Worker& worker : workers) {
            polled.push_back({worker.pipe, POLLIN, 0});
        }
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            continue;
        }
        for (std::size_t i = 0; i < workers.size() && !is_lost; ++i) {
            is_lost = polled[i].revents != 0 && !tally.take(workers[i]);
        }
    }
    for (const Worker& worker : workers) {
        ::kill(worker.pid, SIGKILL);
        ::waitpid(worker.pid, nullptr, 0);
    }
    for (const std::string& violation : tally.violations()) {
        std::printf("%s\n", violation.c_str());
    }
    if (is_lost) {
        std::printf("a worker ended before the others\n");
    }
    std::printf("%zu distinct states, %zu violations\n", tally.states(), tally.violations().size());
    return tally.violations().empty() && !is_lost ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::checkpoint

int main(int argc, char** argv) {
    const std::uint64_t states = argc >= 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
    const std::uint64_t workers =
        argc >= 3 ? std::strtoull(argv[2], nullptr, 10) : std::thread::hardware_concurrency();
    if (states == 0 || workers == 0 || argc > 3) {
        std::fprintf(stderr, "usage: crash_state_soak STATES [WORKERS]\n");
        return 2;
    }
    return holdfast::checkpoint::soak(states, workers);
}
