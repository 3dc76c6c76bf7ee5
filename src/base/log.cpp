#include "base/log.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include <unistd.h>

namespace holdfast::base {

namespace {

struct LogState {
    std::mutex mutex;
    std::string live_line;
    std::function<void(LogLevel, std::string_view)> sink;
};

LogState& log_state() {
    // Never destroyed: threads may log while the process ends.
    static auto* state = new LogState;
    return *state;
}

// A log that cannot be written has nowhere left to say so.
void write_stderr(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stderr) == text.size()) {
        std::fflush(stderr);
    }
}

}  // namespace

bool stderr_is_terminal() {
    static const bool is_terminal = [] {
        const char* term = std::getenv("TERM");
        return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
    }();
    return is_terminal;
}

bool stderr_takes_colour() {
    static const bool takes_colour = [] {
        const char* no_color = std::getenv("NO_COLOR");
        return stderr_is_terminal() && (no_color == nullptr || *no_color == '\0');
    }();
    return takes_colour;
}

void log_line(LogLevel level, std::string_view text) {
    LogState& state = log_state();
    const std::lock_guard lock(state.mutex);
    if (state.sink) {
        state.sink(level, text);
        return;
    }
    std::string line;
    if (!state.live_line.empty()) {
        line += "\r\x1b[K";
    }
    const bool colour = stderr_takes_colour();
    switch (level) {
        case LogLevel::kInfo:
            break;
        case LogLevel::kWarning:
            line += colour ? "\x1b[33mwarning:\x1b[0m " : "warning: ";
            break;
        case LogLevel::kAlarm:
            line += colour ? "\x1b[1;31mALARM:\x1b[0m " : "ALARM: ";
            break;
    }
    line += text;
    line += '\n';
    line += state.live_line;
    write_stderr(line);
}

void set_live_line(std::string_view text) {
    if (!stderr_is_terminal()) {
        return;
    }
    LogState& state = log_state();
    const std::lock_guard lock(state.mutex);
    if (text.empty() && state.live_line.empty()) {
        return;
    }
    state.live_line = text;
    write_stderr("\r\x1b[K" + state.live_line);
}

void capture_log(std::function<void(LogLevel, std::string_view)> sink) {
    LogState& state = log_state();
    const std::lock_guard lock(state.mutex);
    state.sink = std::move(sink);
}

}  // namespace holdfast::base
