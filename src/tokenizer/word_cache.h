// The ids of words met before: a table of fixed size (4 MiB) that forgets. Words of up to 15 bytes
// and 7 ids, each entry 32 bytes, two entries (one cache line) a set; a newcomer pushes out the
// older of its set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace holdfast::tokenizer {

// One thread at a time.
class WordCache {
public:
    static constexpr std::size_t kWordBytesMax = 15;
    static constexpr std::size_t kIdsMax = 7;

    // A word as two numbers: its bytes, zeros, and its length in the last byte.
    struct Key {
        std::uint64_t low = 0;
        std::uint64_t high = 0;
        bool operator==(const Key& other) const {
            return ((low ^ other.low) | (high ^ other.high)) == 0;
        }
    };

    struct Entry {
        Key key;  // of length 0: no word
        std::array<std::uint16_t, kIdsMax> ids{};
        std::uint16_t count = 0;
    };

    WordCache() : sets_(kSets) {}

    // `word` has 1 .. kWordBytesMax bytes. `readable` bytes may be read from its start.
    static Key key_of(std::string_view word, std::size_t readable) {
        Key key;
        const std::size_t bytes = word.size();
        if (readable >= 16) [[likely]] {
            std::memcpy(&key.low, word.data(), 8);
            std::memcpy(&key.high, word.data() + 8, 8);
            if (bytes < 8) {
                key.low &= (std::uint64_t{1} << (8 * bytes)) - 1;
                key.high = 0;
            } else {
                key.high &= (std::uint64_t{1} << (8 * (bytes - 8))) - 1;
            }
        } else {
            std::array<char, 16> padded{};
            std::memcpy(padded.data(), word.data(), bytes);
            std::memcpy(&key.low, padded.data(), 8);
            std::memcpy(&key.high, padded.data() + 8, 8);
        }
        key.high |= std::uint64_t{bytes} << 56U;
        return key;
    }

    // Asks for the memory of this word's set, for a find() or insert() soon.
    void prefetch(const Key& key) const { __builtin_prefetch(&sets_[set_of(key)]); }

    // The entry of this word; nullptr when it is not known.
    [[nodiscard]] const Entry* find(const Key& key) const {
        const Set& set = sets_[set_of(key)];
        // Which of the two it is cannot be foreseen, so it is computed and not jumped to.
        const Entry& entry = set[set[1].key == key ? 1 : 0];
        return entry.key == key ? &entry : nullptr;
    }

    // Does nothing when there are more than kIdsMax ids. Each id is below 65536.
    void insert(const Key& key, std::span<const std::uint32_t> ids) {
        if (ids.size() > kIdsMax) {
            return;
        }
        Set& set = sets_[set_of(key)];
        set[1] = set[0];
        set[0].key = key;
        set[0].count = static_cast<std::uint16_t>(ids.size());
        for (std::size_t index = 0; index < ids.size(); ++index) {
            set[0].ids[index] = static_cast<std::uint16_t>(ids[index]);
        }
    }

private:
    static constexpr std::uint32_t kSetBits = 16;
    static constexpr std::size_t kSets = std::size_t{1} << kSetBits;
    struct alignas(64) Set : std::array<Entry, 2> {};

    static std::size_t set_of(const Key& key) {
        const std::uint64_t mixed =
            (key.low ^ (key.high * 0xC2B2AE3D27D4EB4FULL)) * 0x9E3779B97F4A7C15ULL;
        return (mixed ^ mixed >> 29U) * 0xBF58476D1CE4E5B9ULL >> (64U - kSetBits);
    }

    std::vector<Set> sets_;
};

}  // namespace holdfast::tokenizer
