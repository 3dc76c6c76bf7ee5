// Our own bugs: a check that stays on in release builds.
//
// HF_CHECK(cond, "fmt", args...) ends the process with file, line and the message when `cond` is
// false. It is for what cannot be false unless this program is wrong; never for input, never with a
// side effect in `cond`.
#pragma once

#include <string_view>

#include <fmt/format.h>

namespace holdfast::base {

[[noreturn]] void check_failed(const char* file,
                               int line,
                               const char* condition,
                               std::string_view message);

}  // namespace holdfast::base

#define HF_CHECK(condition, ...)                                           \
    do {                                                                   \
        if (!(condition)) [[unlikely]] {                                   \
            ::holdfast::base::check_failed(                                \
                __FILE__, __LINE__, #condition, fmt::format(__VA_ARGS__)); \
        }                                                                  \
    } while (false)
