#include "base/clock.h"

#include <chrono>
#include <ctime>

#include <fmt/format.h>

namespace holdfast::base {

namespace {

std::tm utc_fields(std::int64_t utc_seconds) {
    const auto time = static_cast<std::time_t>(utc_seconds);
    std::tm fields{};
    gmtime_r(&time, &fields);
    return fields;
}

// Of any 64-bit time: the largest years do not fit tm_year + 1900.
std::int64_t year_of(const std::tm& fields) {
    return std::int64_t{fields.tm_year} + 1900;
}

}  // namespace

std::int64_t utc_seconds_now() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::string utc_compact(std::int64_t utc_seconds) {
    const std::tm t = utc_fields(utc_seconds);
    return fmt::format("{:04}{:02}{:02}_{:02}{:02}{:02}",
                       year_of(t),
                       t.tm_mon + 1,
                       t.tm_mday,
                       t.tm_hour,
                       t.tm_min,
                       t.tm_sec);
}

std::string utc_iso8601(std::int64_t utc_seconds) {
    const std::tm t = utc_fields(utc_seconds);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                       year_of(t),
                       t.tm_mon + 1,
                       t.tm_mday,
                       t.tm_hour,
                       t.tm_min,
                       t.tm_sec);
}

double monotonic_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace holdfast::base
