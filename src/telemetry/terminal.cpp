#include "telemetry/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

namespace holdfast::telemetry {

int terminal_columns() {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return 80;
    }
    return size.ws_col;
}

Screen stderr_screen() {
    return Screen{
        .is_terminal = base::stderr_is_terminal(),
        .columns = terminal_columns,
        .live = base::set_live_line,
        .plain = [](std::string_view text) { base::log_line(base::LogLevel::kInfo, text); },
    };
}

}  // namespace holdfast::telemetry
