#include "base/checksum.h"

#include <new>

#include <fmt/format.h>
#ifdef HOLDFAST_XXHASH_DISPATCH
// Renames what it declares: the same functions with the widest vectors of this processor, chosen at
// run time. The library's plain ones are built for the oldest processor.
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#include "base/check.h"

namespace holdfast::base {

// XXH3's 64- and 128-bit streaming states take the same input; both are kept so that one pass gives
// both.
struct StreamingChecksum::State {
    XXH3_state_t* state = XXH3_createState();

    State() {
        if (state == nullptr) {
            throw std::bad_alloc();
        }
        reset();
    }
    ~State() { XXH3_freeState(state); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void reset() const { HF_CHECK(XXH3_128bits_reset(state) == XXH_OK, "XXH3 reset failed"); }
};

std::uint64_t checksum64(std::span<const std::byte> bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t checksum64(std::string_view bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

std::string to_hex(std::uint64_t checksum) {
    return fmt::format("{:016x}", checksum);
}

std::string to_hex(const Hash128& checksum) {
    return fmt::format("{:016x}{:016x}", checksum.high, checksum.low);
}

std::optional<std::uint64_t> parse_hex64(std::string_view text) {
    if (text.size() != 16) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char c : text) {
        std::uint64_t digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<std::uint64_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<std::uint64_t>(c - 'a') + 10;
        } else {
            return std::nullopt;
        }
        value = value << 4U | digit;
    }
    return value;
}

StreamingChecksum::StreamingChecksum() : state_(std::make_unique<State>()) {}
StreamingChecksum::~StreamingChecksum() = default;
StreamingChecksum::StreamingChecksum(StreamingChecksum&&) noexcept = default;
StreamingChecksum& StreamingChecksum::operator=(StreamingChecksum&&) noexcept = default;

void StreamingChecksum::update(std::span<const std::byte> bytes) {
    if (!bytes.empty()) {
        // The 128-bit and 64-bit forms share one accumulator; only the finish differs.
        HF_CHECK(XXH3_128bits_update(state_->state, bytes.data(), bytes.size()) == XXH_OK,
                 "XXH3 update failed");
    }
}

void StreamingChecksum::update(std::string_view bytes) {
    update(std::as_bytes(std::span(bytes)));
}

void StreamingChecksum::reset() {
    state_->reset();
}

std::uint64_t StreamingChecksum::digest64() const {
    return XXH3_64bits_digest(state_->state);
}

Hash128 StreamingChecksum::digest128() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_->state);
    return Hash128{hash.high64, hash.low64};
}

}  // namespace holdfast::base
