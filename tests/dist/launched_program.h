// rank_child as a process of its own, under its supervisor: started, watched, signalled, ended.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "temporary_directory.h"

namespace holdfast::dist {

struct Outcome {
    int exit_code = -1;  // 128 + number when a signal ended it
    std::string out;     // stdout
    std::string log;     // stderr
};

class LaunchedProgram {
public:
    // Output goes to files, or to the descriptors that `prepare` puts there: it is run in the new
    // process, last before exec, and may only make system calls.
    explicit LaunchedProgram(std::vector<std::string> words,
                             const std::function<void()>& prepare = {},
                             std::vector<std::string> environment = {});
    ~LaunchedProgram();
    LaunchedProgram(const LaunchedProgram&) = delete;
    LaunchedProgram& operator=(const LaunchedProgram&) = delete;

    [[nodiscard]] std::string out() const;
    [[nodiscard]] std::string log() const;
    // Waits until stdout holds `text` `count` times; false when the program ends before.
    bool wait_for(const std::string& text, int count = 1);
    bool wait_for_log(const std::string& text, int count = 1);
    // Waits until it was stopped (SIGSTOP); false when it ended.
    bool wait_until_stopped();
    void send(int signal_number) const;
    // Lets ranks that wait for it (exists=) go on.
    void make_file(const std::string& name) const;
    [[nodiscard]] std::string path_of(const std::string& name) const { return directory_ / name; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    Outcome finish();

private:
    bool ended_now();
    bool wait_until(const std::function<bool()>& reached);

    TemporaryDirectory directory_;
    pid_t pid_ = -1;
    int wait_status_ = 0;
    bool ended_ = false;
};

// Runs rank_child to its end.
Outcome run_launched(const std::vector<std::string>& words,
                     const std::vector<std::string>& environment = {});

// `count` times `character`.
std::string repeated(char character, std::size_t count);
int count_of(const std::string& text, const std::string& part);
std::vector<std::string> lines_in(const std::string& text);
// The lines that begin with `prefix`, without it.
std::vector<std::string> lines_after(const std::string& text, const std::string& prefix);
// The letter of the state of a process (R, S, T, Z, ...); '-' when there is none.
char state_of(pid_t pid);

}  // namespace holdfast::dist
