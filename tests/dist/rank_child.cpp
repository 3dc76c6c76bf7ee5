// A program for the tests of the supervisor, which starts itself again as its own ranks:
//
//   rank_child OPTION=VALUE... -- ACTION...
//
// Without HOLDFAST_RANK it supervises with those options (those of LaunchConfig, by short names).
// With it, it is a rank and does the actions that are its own, in their order, then ends with 0.
//
//   ACTION      NAME[=VALUE], or for some ranks RANK:NAME=VALUE, or in one attempt
//               RANK@RESTART:NAME=VALUE; RANK may be *
//   say, err    a line to stdout, stderr      part     text without a newline
//   lines=N     N lines, each in two writes   long=N   a line of N bytes     flood=N   N bytes of
//   lines sleep=S     exit=CODE   signal=NUMBER (dies by it)     ignore=NUMBER catch       from now
//   on tells each SIGINT, SIGTERM, SIGHUP, SIGUSR1 and the value it carries signals=N   waits for N
//   caught signals    forever  waits and tells, without an end exists=PATH waits for a file
//   grandchild   starts a process that waits for ever environ, arguments, descriptors, ids,
//   listens, terminal, stdin, ignored=NUMBER   tells
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "dist/launch_environment.h"
#include "dist/signal_handler.h"
#include "dist/supervisor.h"

namespace {

using holdfast::dist::LaunchConfig;

std::array<int, 2> caught_pipe{-1, -1};

struct CaughtSignal {
    int number = 0;
    int value = 0;
};

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(descriptor, text.data(), text.size());
        if (count < 0 && errno != EINTR) {
            ::_exit(99);
        }
        text.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
    }
}

void say(const std::string& line) {
    write_all(STDOUT_FILENO, line + '\n');
}

void note_signal(int number, siginfo_t* info, void* /*context*/) {
    const CaughtSignal caught{number, info->si_code == SI_QUEUE ? info->si_value.sival_int : -1};
    const ssize_t written = ::write(caught_pipe[1], &caught, sizeof caught);
    static_cast<void>(written);
}

void catch_signals() {
    if (::pipe(caught_pipe.data()) != 0) {
        ::_exit(99);
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
        struct sigaction action {};
        action.sa_sigaction = note_signal;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        if (::sigaction(number, &action, nullptr) != 0) {
            ::_exit(99);
        }
    }
    say("catching");
}

void tell_signals(long count) {
    for (long i = 0; count < 0 || i < count; ++i) {
        // The thread sanitizer lets a signal through while poll() waits, not while read() does.
        pollfd polled{caught_pipe[0], POLLIN, 0};
        while (::poll(&polled, 1, -1) < 0 && errno == EINTR) {
        }
        CaughtSignal caught;
        if (::read(caught_pipe[0], &caught, sizeof caught) != sizeof caught) {
            ::_exit(99);
        }
        say(fmt::format("got {} value {}", caught.number, caught.value));
    }
}

void wait_for_file(const std::string& path) {
    while (::access(path.c_str(), F_OK) != 0) {
        ::usleep(2000);
    }
}

void die_by(int number) {
    if (number != SIGKILL && number != SIGSTOP) {  // those have no handler
        holdfast::dist::set_handler(number, SIG_DFL);
    }
    ::raise(number);
}

void start_grandchild() {
    const pid_t pid = ::fork();
    if (pid == 0) {
        for (;;) {
            ::pause();
        }
    }
    say(fmt::format("grandchild {}", pid));
}

void tell_descriptors() {
    DIR* folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) {
        ::_exit(99);
    }
    const std::string own = std::to_string(::dirfd(folder));
    std::string names;
    for (const dirent* entry = ::readdir(folder); entry != nullptr; entry = ::readdir(folder)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != ".." && name != own) {
            names += fmt::format(" {}", name);
        }
    }
    ::closedir(folder);
    say("descriptors" + names);
}

void tell_listening() {
    const char* text = ::getenv("HOLDFAST_MASTER_LISTEN_FD");
    if (text == nullptr) {
        say("listens no");
        return;
    }
    const int descriptor = std::atoi(text);
    int listening = 0;
    socklen_t bytes = sizeof listening;
    sockaddr_in address{};
    socklen_t address_bytes = sizeof address;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) != 0 ||
        ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &address_bytes) != 0) {
        say(fmt::format("listens broken {}", errno));
        return;
    }
    say(fmt::format("listens {} port {}", listening, ntohs(address.sin_port)));
}

void tell_ignored(int number) {
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    say(fmt::format("ignored {} {}", number, action.sa_handler == SIG_IGN ? "yes" : "no"));
}

void write_lines(long count, const std::string& rank) {
    for (long i = 0; i < count; ++i) {
        const std::string line = fmt::format("line {} of rank {} and its end\n", i, rank);
        const std::size_t half = line.size() / 2;
        write_all(STDOUT_FILENO, std::string_view(line).substr(0, half));
        write_all(STDOUT_FILENO, std::string_view(line).substr(half));
    }
}

void flood(long bytes) {
    const std::string line = std::string(1023, 'f') + '\n';
    for (long written = 0; written < bytes; written += static_cast<long>(line.size())) {
        write_all(STDOUT_FILENO, line);
    }
}

// Says something about the process; false for another kind of action.
bool tell(const std::string& name, const std::string& value, char** argv) {
    if (name == "environ") {
        for (char** entry = environ; *entry != nullptr; ++entry) {
            say(fmt::format("env {}", *entry));
        }
    } else if (name == "arguments") {
        for (char** entry = argv; *entry != nullptr; ++entry) {
            say(fmt::format("argument {}", *entry));
        }
    } else if (name == "descriptors") {
        tell_descriptors();
    } else if (name == "ids") {
        say(fmt::format("ids {} {} {}", ::getpid(), ::getppid(), ::getpgrp()));
    } else if (name == "listens") {
        tell_listening();
    } else if (name == "terminal") {
        say(fmt::format("terminal {} {}", ::isatty(STDOUT_FILENO), ::isatty(STDERR_FILENO)));
    } else if (name == "stdin") {
        char byte = 0;
        say(fmt::format("stdin {}", ::read(STDIN_FILENO, &byte, 1)));
    } else if (name == "ignored") {
        tell_ignored(std::atoi(value.c_str()));
    } else {
        return false;
    }
    return true;
}

void act(const std::string& name, const std::string& value, const std::string& rank) {
    const long number = std::atol(value.c_str());
    if (name == "say") {
        say(value);
    } else if (name == "err") {
        write_all(STDERR_FILENO, value + '\n');
    } else if (name == "part") {
        write_all(STDOUT_FILENO, value);
    } else if (name == "lines") {
        write_lines(number, rank);
    } else if (name == "long") {
        say(std::string(static_cast<std::size_t>(number), 'x'));
    } else if (name == "flood") {
        flood(number);
    } else if (name == "sleep") {
        ::usleep(static_cast<useconds_t>(std::atof(value.c_str()) * 1e6));
    } else if (name == "exit") {
        ::_exit(static_cast<int>(number));
    } else if (name == "signal") {
        die_by(static_cast<int>(number));
    } else if (name == "ignore") {
        holdfast::dist::set_handler(static_cast<int>(number), SIG_IGN);
    } else if (name == "catch") {
        catch_signals();
    } else if (name == "signals") {
        tell_signals(number);
    } else if (name == "forever") {
        tell_signals(-1);
    } else if (name == "exists") {
        wait_for_file(value);
    } else if (name == "grandchild") {
        start_grandchild();
    } else {
        say("no such action: " + name);
        ::_exit(98);
    }
}

// Whether "RANK@RESTART" or "RANK" names this process.
bool is_meant(const std::string& who, const std::string& rank, const std::string& restart) {
    const std::size_t at = who.find('@');
    const std::string who_rank = who.substr(0, at);
    return (who_rank == "*" || who_rank == rank) &&
           (at == std::string::npos || who.substr(at + 1) == restart);
}

int be_rank(int first, char** argv) {
    const std::string rank = holdfast::dist::process_environment("HOLDFAST_RANK").value_or("");
    const std::string restart =
        holdfast::dist::process_environment("HOLDFAST_RESTART_COUNT").value_or("");
    for (int i = first; argv[i] != nullptr; ++i) {
        std::string action = argv[i];
        const std::size_t equals = action.find('=');
        const std::size_t colon = action.find(':');
        if (colon != std::string::npos && (equals == std::string::npos || colon < equals)) {
            if (!is_meant(action.substr(0, colon), rank, restart)) {
                continue;
            }
            action.erase(0, colon + 1);
        }
        const std::size_t end = action.find('=');
        const std::string name = action.substr(0, end);
        const std::string value = end == std::string::npos ? "" : action.substr(end + 1);
        if (!tell(name, value, argv)) {
            act(name, value, rank);
        }
    }
    return 0;
}

std::vector<int> numbers_in(const std::string& text) {
    std::vector<int> numbers;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        numbers.push_back(std::atoi(text.substr(at, end - at).c_str()));
        at = end + 1;
    }
    return numbers;
}

void set_option(LaunchConfig& config, const std::string& name, const std::string& value) {
    const int number = std::atoi(value.c_str());
    const double seconds = std::atof(value.c_str());
    if (name == "nproc") {
        config.nproc_per_node = number;
    } else if (name == "nnodes") {
        config.nnodes = number;
    } else if (name == "node") {
        config.node_rank = number;
    } else if (name == "master") {
        config.master_addr = value;
    } else if (name == "port") {
        config.master_port = number;
    } else if (name == "token") {
        config.run_token = value;
    } else if (name == "restarts") {
        config.max_restarts = number;
    } else if (name == "min") {
        config.min_ranks = number;
    } else if (name == "valid") {
        config.valid_rank_counts = numbers_in(value);
    } else if (name == "grace") {
        config.grace_seconds = seconds;
    } else if (name == "kill") {
        config.kill_seconds = seconds;
    } else if (name == "loop") {
        config.crash_loop_count = number;
    } else if (name == "quick") {
        config.crash_loop_seconds = seconds;
    } else if (name == "delay") {
        config.restart_delay_seconds = seconds;
    } else if (name == "result") {
        config.result_exit_code = number;
    } else if (name == "limit") {
        config.time_limit_seconds = seconds;
    } else {
        fmt::print(stderr, "no such option: {}\n", name);
        std::exit(98);
    }
}

int be_supervisor(int end, char** argv) {
    LaunchConfig config;
    config.restart_delay_seconds = 0;
    for (int i = 1; i < end; ++i) {
        const std::string option = argv[i];
        const std::size_t equals = option.find('=');
        set_option(config, option.substr(0, equals), option.substr(equals + 1));
    }
    holdfast::dist::RankProgram program;
    for (char** word = argv; *word != nullptr; ++word) {
        program.arguments.emplace_back(*word);
    }
    for (char** entry = environ; *entry != nullptr; ++entry) {
        program.environment.emplace_back(*entry);
    }
    const auto exit_code = holdfast::dist::supervise(config, program);
    if (!exit_code.ok()) {
        fmt::print(stderr, "error: {}\n", exit_code.error().what);
        return 97;
    }
    return exit_code.value();
}

}  // namespace

int main(int argc, char** argv) {
    int dashes = 1;
    while (dashes < argc && std::string_view(argv[dashes]) != "--") {
        ++dashes;
    }
    return ::getenv("HOLDFAST_RANK") == nullptr ? be_supervisor(dashes, argv)
                                                : be_rank(dashes + 1, argv);
}
