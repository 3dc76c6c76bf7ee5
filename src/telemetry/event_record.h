// The bytes of a TensorBoard event file: the protobuf messages we need, by hand, in the record
// framing of TFRecord. Pure functions.
//
// Record: u64 length, u32 masked CRC-32C of those 8 bytes, data, u32 masked CRC-32C of the data;
// all little-endian. Mask: rotate right by 15, add 0xa282ead8. Event
// (tensorflow/core/util/event.proto): 1 double wall_time, 2 int64 step, 3 string file_version, 5
// Summary, 7 SessionLog. Summary: 1 repeated Value {1 string tag, 2 float simple_value}.
// SessionLog: 1 enum status (START = 1).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::telemetry {

// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected), as iSCSI (RFC 3720) defines it.
std::uint32_t crc32c(std::string_view bytes);
std::uint32_t masked_crc32c(std::string_view bytes);

struct Scalar {
    std::string tag;    // "train/loss"
    float value = 0.0;  // TensorBoard keeps 32 bits
};

// Event messages, not framed. Times in seconds since the Unix epoch.
std::string version_event(double wall_seconds, std::int64_t step);
std::string session_start_event(double wall_seconds, std::int64_t step);
std::string scalars_event(double wall_seconds, std::int64_t step, std::span<const Scalar> scalars);

// The message as a record of the file.
std::string framed(std::string_view message);

}  // namespace holdfast::telemetry
