// What the screen is: whether lines may be redrawn, and how wide they may be.
#pragma once

#include <functional>
#include <string_view>

namespace holdfast::telemetry {

// Columns of the terminal behind stderr; 80 when it does not say.
int terminal_columns();

// Where progress is shown. The default is stderr through base/log; tests put their own.
struct Screen {
    bool is_terminal = false;
    std::function<int()> columns;                 // asked at each drawing: windows are resized
    std::function<void(std::string_view)> live;   // replaces the live line; empty removes it
    std::function<void(std::string_view)> plain;  // one line that stays
};

// stderr: the live line and the log of base/log.h. Nothing here uses colour, so NO_COLOR holds.
Screen stderr_screen();

}  // namespace holdfast::telemetry
