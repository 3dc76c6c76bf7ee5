#include "cli/program.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "telemetry/step_metrics.h"
#include "temporary_directory.h"

namespace holdfast::cli {

namespace {

pid_t start(const Command& command,
            const std::string& out_path,
            const std::string& log_path,
            std::vector<std::string> environment) {
    const pid_t test = ::getpid();
    const pid_t pid = ::fork();
    if (pid != 0) {
        return pid;
    }
    // A test that is cut short leaves no program behind.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != test) {
        ::_exit(126);
    }
    const int out = ::open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (out < 0 || log < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0) {
        ::_exit(126);
    }
    for (std::string& variable : environment) {
        ::putenv(variable.data());
    }
    std::vector<char*> arguments;
    std::string program = command.program;
    arguments.push_back(program.data());
    std::vector<std::string> copies = command.words;
    for (std::string& word : copies) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    ::execvp(program.c_str(), arguments.data());
    ::_exit(127);
}

int exit_code_of(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace

std::string read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

void write_text(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    ASSERT_TRUE(file.good()) << path;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

Outcome run_program(const std::vector<std::string>& words,
                    const std::vector<std::string>& environment) {
    return run_command({HOLDFAST_PROGRAM, words}, environment);
}

Outcome run_command(const Command& command, const std::vector<std::string>& environment) {
    const TemporaryDirectory directory;
    return RunningProgram(command, directory.path(), environment).finish();
}

bool is_installed(const std::string& program) {
    const char* path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
        if (::access((folder + "/" + program).c_str(), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

RunningProgram::RunningProgram(const std::vector<std::string>& words,
                               const std::string& directory,
                               const std::vector<std::string>& environment)
    : RunningProgram(Command{HOLDFAST_PROGRAM, words}, directory, environment) {}

RunningProgram::RunningProgram(const Command& command,
                               const std::string& directory,
                               const std::vector<std::string>& environment)
    : out_path_(directory + "/stdout.txt"), log_path_(directory + "/stderr.txt") {
    pid_ = start(command, out_path_, log_path_, environment);
}

RunningProgram::~RunningProgram() {
    if (!ended_ && pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, &wait_status_, 0);
    }
}

bool RunningProgram::has_ended() {
    if (!ended_) {
        ended_ = ::waitpid(pid_, &wait_status_, WNOHANG) == pid_;
    }
    return ended_;
}

bool RunningProgram::wait_for_step(const std::string& metrics_path, std::int64_t step) {
    while (!has_ended()) {
        const std::string text = read_text(metrics_path);
        const std::size_t end = text.rfind('\n');
        if (end != std::string::npos) {
            const std::size_t begin = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
            const auto metrics = telemetry::parse_step_metrics(std::string_view(text).substr(
                begin == std::string::npos ? 0 : begin + 1, end - begin));
            if (metrics.ok() && metrics.value().step >= step) {
                return true;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

std::int64_t RunningProgram::count_in_log(const std::string& text) const {
    const std::string log = read_text(log_path_);
    std::int64_t count = 0;
    for (std::size_t at = log.find(text); at != std::string::npos;
         at = log.find(text, at + text.size())) {
        ++count;
    }
    return count;
}

bool RunningProgram::wait_for_log(const std::string& text, std::int64_t count) {
    while (count_in_log(text) < count) {
        if (has_ended()) {
            return count_in_log(text) >= count;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

bool RunningProgram::wait_until_stopped() {
    if (!ended_ && ::waitpid(pid_, &wait_status_, WUNTRACED) == pid_) {
        ended_ = !WIFSTOPPED(wait_status_);
    }
    return !ended_;
}

void RunningProgram::send_signal(int number) const {
    ::kill(pid_, number);
}

std::vector<pid_t> RunningProgram::children() const {
    std::ifstream file(fmt::format("/proc/{0}/task/{0}/children", pid_));
    return {std::istream_iterator<pid_t>(file), {}};
}

Outcome RunningProgram::finish() {
    if (!ended_) {
        ::waitpid(pid_, &wait_status_, 0);
        ended_ = true;
    }
    return {exit_code_of(wait_status_), read_text(out_path_), read_text(log_path_)};
}

}  // namespace holdfast::cli
