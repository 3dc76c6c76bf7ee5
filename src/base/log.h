// The log: one line a message, on stderr. The only global of the program.
//
// A live progress line (telemetry/progress_line) may stand at the bottom of a terminal; the log
// erases it before a message and the owner draws it again, so lines never mix. Any thread may log.
#pragma once

#include <functional>
#include <string_view>

#include <fmt/format.h>

namespace holdfast::base {

enum class LogLevel { kInfo, kWarning, kAlarm };

// kInfo prints the text alone, kWarning and kAlarm a word before it ("warning: ", "ALARM: "), in
// colour on a terminal unless NO_COLOR is set.
void log_line(LogLevel level, std::string_view text);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_alarm(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::kAlarm, fmt::format(format, std::forward<Args>(args)...));
}

// Whether stderr is a terminal that takes colour and cursor control (a TTY, TERM not "dumb",
// NO_COLOR not set for colour).
bool stderr_is_terminal();
bool stderr_takes_colour();

// Replaces the text of the live line at the bottom of the terminal; an empty text removes it. Does
// nothing when stderr is not a terminal.
void set_live_line(std::string_view text);

// Sends messages to `sink` instead of stderr until called with nullptr; for tests.
void capture_log(std::function<void(LogLevel, std::string_view)> sink);

}  // namespace holdfast::base
