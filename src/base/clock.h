// Time, in the two kinds that must not be mixed: wall time for people and names (UTC only, never
// for order), and a monotonic clock for durations.
#pragma once

#include <cstdint>
#include <string>

namespace holdfast::base {

// Seconds since the Unix epoch, UTC, whole.
std::int64_t utc_seconds_now();

// "20261122_140501": the form in directory names.
std::string utc_compact(std::int64_t utc_seconds);

// "2026-11-22T14:05:01Z": the form in manifests and logs.
std::string utc_iso8601(std::int64_t utc_seconds);

// Seconds on a clock that never jumps. Only differences mean anything.
double monotonic_seconds();

}  // namespace holdfast::base
