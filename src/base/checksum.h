// XXH3 (xxHash, Yann Collet): the one checksum of the program. 64 bits guard files and batches, 128
// bits name the logical content of a checkpoint. Not cryptographic: it finds damage, not malice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::base {

struct Hash128 {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    bool operator==(const Hash128&) const = default;
};

// XXH3-64 of the bytes, seed 0.
std::uint64_t checksum64(std::span<const std::byte> bytes);
std::uint64_t checksum64(std::string_view bytes);

// The fixed text form: 16 (or 32) lower-case hex digits, most significant first.
std::string to_hex(std::uint64_t checksum);
std::string to_hex(const Hash128& checksum);

// Nothing unless `text` is exactly 16 hex digits, lower case.
std::optional<std::uint64_t> parse_hex64(std::string_view text);

// A checksum over bytes that arrive in pieces; the cut does not change the result.
// digest() may be called at any time and more than once. Movable; one thread at a time.
class StreamingChecksum {
public:
    StreamingChecksum();
    ~StreamingChecksum();
    StreamingChecksum(StreamingChecksum&&) noexcept;
    StreamingChecksum& operator=(StreamingChecksum&&) noexcept;
    StreamingChecksum(const StreamingChecksum&) = delete;
    StreamingChecksum& operator=(const StreamingChecksum&) = delete;

    void update(std::span<const std::byte> bytes);
    void update(std::string_view bytes);
    void reset();
    [[nodiscard]] std::uint64_t digest64() const;
    [[nodiscard]] Hash128 digest128() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace holdfast::base
