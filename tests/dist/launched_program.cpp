#include "dist/launched_program.h"

#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace holdfast::dist {

namespace {

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        result.push_back(text.data());
    }
    result.push_back(nullptr);
    return result;
}

}  // namespace

LaunchedProgram::LaunchedProgram(std::vector<std::string> words,
                                 const std::function<void()>& prepare,
                                 std::vector<std::string> environment) {
    words.insert(words.begin(), HOLDFAST_RANK_CHILD);
    for (std::string& word : words) {
        const std::size_t at = word.find("{dir}");
        if (at != std::string::npos) {
            word.replace(at, 5, directory_.path());
        }
    }
    if (environment.empty()) {
        for (char** entry = environ; *entry != nullptr; ++entry) {
            environment.emplace_back(*entry);
        }
    }
    const std::vector<char*> arguments = pointers(words);
    const std::vector<char*> settings = pointers(environment);
    const std::string out_path = path_of("stdout.txt");
    const std::string log_path = path_of("stderr.txt");
    pid_ = ::fork();
    if (pid_ == 0) {
        const int out = ::open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (out < 0 || log < 0 || ::dup2(out, STDOUT_FILENO) < 0 ||
            ::dup2(log, STDERR_FILENO) < 0) {
            ::_exit(126);
        }
        if (prepare) {
            prepare();
        }
        ::execve(HOLDFAST_RANK_CHILD, arguments.data(), settings.data());
        ::_exit(127);
    }
}

LaunchedProgram::~LaunchedProgram() {
    if (!ended_ && pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, &wait_status_, 0);
    }
}

std::string LaunchedProgram::out() const {
    return read_file(path_of("stdout.txt"));
}

std::string LaunchedProgram::log() const {
    return read_file(path_of("stderr.txt"));
}

bool LaunchedProgram::ended_now() {
    if (!ended_) {
        ended_ = ::waitpid(pid_, &wait_status_, WNOHANG) == pid_;
    }
    return ended_;
}

bool LaunchedProgram::wait_until(const std::function<bool()>& reached) {
    while (!reached()) {
        if (ended_now()) {
            return reached();
        }
        ::usleep(2000);
    }
    return true;
}

bool LaunchedProgram::wait_for(const std::string& text, int count) {
    return wait_until([&] { return count_of(out(), text) >= count; });
}

bool LaunchedProgram::wait_for_log(const std::string& text, int count) {
    return wait_until([&] { return count_of(log(), text) >= count; });
}

bool LaunchedProgram::wait_until_stopped() {
    if (!ended_ && ::waitpid(pid_, &wait_status_, WUNTRACED) == pid_) {
        ended_ = !WIFSTOPPED(wait_status_);
    }
    return !ended_;
}

void LaunchedProgram::send(int signal_number) const {
    ::kill(pid_, signal_number);
}

void LaunchedProgram::make_file(const std::string& name) const {
    const std::ofstream file(path_of(name));
    EXPECT_TRUE(file.good()) << name;
}

Outcome LaunchedProgram::finish() {
    if (!ended_) {
        ::waitpid(pid_, &wait_status_, 0);
        ended_ = true;
    }
    const int exit_code =
        WIFEXITED(wait_status_) ? WEXITSTATUS(wait_status_) : 128 + WTERMSIG(wait_status_);
    return {exit_code, out(), log()};
}

Outcome run_launched(const std::vector<std::string>& words,
                     const std::vector<std::string>& environment) {
    return LaunchedProgram(words, {}, environment).finish();
}

std::string repeated(char character, std::size_t count) {
    return std::string(count, character);
}

int count_of(const std::string& text, const std::string& part) {
    int count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos;
         at = text.find(part, at + part.size())) {
        ++count;
    }
    return count;
}

std::vector<std::string> lines_in(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::vector<std::string> lines_after(const std::string& text, const std::string& prefix) {
    std::vector<std::string> found;
    for (const std::string& line : lines_in(text)) {
        if (line.rfind(prefix, 0) == 0) {
            found.push_back(line.substr(prefix.size()));
        }
    }
    return found;
}

char state_of(pid_t pid) {
    const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
    const std::size_t end = stat.rfind(") ");
    return end == std::string::npos ? '-' : stat[end + 2];
}

}  // namespace holdfast::dist
