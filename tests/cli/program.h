// The real program, or another that starts it, as a child process: run it, or start it, watch its
// log, send it a signal, see how it ended.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace holdfast::cli {

struct Outcome {
    int exit_code = -1;  // 128 + number when a signal ended it
    std::string out;     // stdout
    std::string log;     // stderr
};

// A program that is found as a shell finds it, and its arguments.
struct Command {
    std::string program;
    std::vector<std::string> words;
};

// Whether a shell would find `program`.
bool is_installed(const std::string& program);

// Runs `holdfast words...` to its end. `environment` is added to this process's: NAME=value.
Outcome run_program(const std::vector<std::string>& words,
                    const std::vector<std::string>& environment = {});
// The same with another program.
Outcome run_command(const Command& command, const std::vector<std::string>& environment = {});

class RunningProgram {
public:
    // Output goes to files in `directory`.
    RunningProgram(const std::vector<std::string>& words,
                   const std::string& directory,
                   const std::vector<std::string>& environment = {});
    RunningProgram(const Command& command,
                   const std::string& directory,
                   const std::vector<std::string>& environment = {});
    ~RunningProgram();
    RunningProgram(const RunningProgram&) = delete;
    RunningProgram& operator=(const RunningProgram&) = delete;

    // Waits until `metrics_path` has a line of `step` or a later one, or the program ended. False
    // in the second case.
    bool wait_for_step(const std::string& metrics_path, std::int64_t step);
    // How often the log (stderr) holds `text` by now.
    [[nodiscard]] std::int64_t count_in_log(const std::string& text) const;
    // Waits until the log holds `text` `count` times, or the program ended. False in the
    // second case.
    bool wait_for_log(const std::string& text, std::int64_t count = 1);
    // Waits until a signal stopped the program (send_signal(SIGCONT) lets it go on), or it ended.
    // False in the second case.
    bool wait_until_stopped();
    void send_signal(int number) const;
    // Its child processes, in the order in which they were started; of a supervisor, the ranks.
    [[nodiscard]] std::vector<pid_t> children() const;
    bool has_ended();
    // Waits for the end.
    Outcome finish();

private:
    pid_t pid_ = -1;
    int wait_status_ = 0;
    bool ended_ = false;
    std::string out_path_;
    std::string log_path_;
};

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);
std::vector<std::string> lines_of(const std::string& text);

}  // namespace holdfast::cli
