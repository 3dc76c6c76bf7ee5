#include "telemetry/event_record.h"

#include <array>
#include <bit>

namespace holdfast::telemetry {

namespace {

constexpr std::uint32_t kReflectedPolynomial = 0x82F63B78;
constexpr std::uint32_t kMaskDelta = 0xA282EAD8;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 1U) != 0 ? (crc >> 1U) ^ kReflectedPolynomial : crc >> 1U;
        }
        table[byte] = crc;
    }
    return table;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

// Protobuf wire types.
constexpr std::uint32_t kVarint = 0;
constexpr std::uint32_t kFixed64 = 1;
constexpr std::uint32_t kBytes = 2;
constexpr std::uint32_t kFixed32 = 5;

template <typename T>
void put_little_endian(std::string& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    }
}

void put_varint(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out += static_cast<char>(static_cast<unsigned char>(value | 0x80U));
        value >>= 7U;
    }
    out += static_cast<char>(static_cast<unsigned char>(value));
}

void put_tag(std::string& out, std::uint32_t field, std::uint32_t wire_type) {
    put_varint(out, field << 3U | wire_type);
}

void put_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
    put_tag(out, field, kBytes);
    put_varint(out, bytes.size());
    out += bytes;
}

std::string event_head(double wall_seconds, std::int64_t step) {
    std::string event;
    put_tag(event, 1, kFixed64);
    put_little_endian(event, std::bit_cast<std::uint64_t>(wall_seconds));
    // proto3 leaves out a field at its default.
    if (step != 0) {
        put_tag(event, 2, kVarint);
        put_varint(event, static_cast<std::uint64_t>(step));
    }
    return event;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t crc = 0xFFFFFFFF;
    for (const char c : bytes) {
        crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (crc >> 8U);
    }
    return ~crc;
}

std::uint32_t masked_crc32c(std::string_view bytes) {
    return std::rotr(crc32c(bytes), 15) + kMaskDelta;
}

std::string version_event(double wall_seconds, std::int64_t step) {
    std::string event = event_head(wall_seconds, step);
    put_bytes(event, 3, "brain.Event:2");
    return event;
}

std::string session_start_event(double wall_seconds, std::int64_t step) {
    std::string session_log;
    put_tag(session_log, 1, kVarint);
    put_varint(session_log, 1);
    std::string event = event_head(wall_seconds, step);
    put_bytes(event, 7, session_log);
    return event;
}

std::string scalars_event(double wall_seconds, std::int64_t step, std::span<const Scalar> scalars) {
    std::string summary;
    for (const Scalar& scalar : scalars) {
        std::string value;
        put_bytes(value, 1, scalar.tag);
        put_tag(value, 2, kFixed32);
        put_little_endian(value, std::bit_cast<std::uint32_t>(scalar.value));
        put_bytes(summary, 1, value);
    }
    std::string event = event_head(wall_seconds, step);
    put_bytes(event, 5, summary);
    return event;
}

std::string framed(std::string_view message) {
    std::string length;
    put_little_endian(length, static_cast<std::uint64_t>(message.size()));
    std::string record = length;
    put_little_endian(record, masked_crc32c(length));
    record += message;
    put_little_endian(record, masked_crc32c(message));
    return record;
}

}  // namespace holdfast::telemetry
