// What rank 0 tells the other ranks to do.
//
// Rank 0 alone decides: when to step, evaluate, save and stop. The others do what they are told, in
// the order they are told, so that all make the same collective calls and nothing needs to be
// agreed on: a signal that any rank hears is told to rank 0, and its next order is the answer. An
// order is a few words on the host's group; it arrives while the device still works on the step
// before.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace holdfast::train {

enum class RankOrderKind : std::int64_t {
    kSetUp = 0,        // a text follows: what the run is
    kLoad = 1,         // a text follows, the checkpoint's path; then each answers with a text
    kBeginFresh = 2,   // from weights drawn from the seed; number = epoch, other = sample
    kBeginLoaded = 3,  // from what was loaded; likewise
    kStep = 4,         // number = step, other = hash of the global batch, rate = learning rate
    kEvaluate = 5,     // number = first unit of the round, other = validation set
    kCapture = 6,      // number = ticket
    kEnd = 7,          // number = exit code
    kLook = 8,         // a text follows: where the run is; then each answers with a text to all
};

struct RankOrder {
    RankOrderKind kind = RankOrderKind::kEnd;
    std::int64_t number = 0;
    std::int64_t other = 0;
    double rate = 0;

    using Words = std::array<std::int64_t, 4>;
    [[nodiscard]] Words to_words() const {
        return {static_cast<std::int64_t>(kind), number, other, std::bit_cast<std::int64_t>(rate)};
    }
    static RankOrder from_words(const Words& words) {
        return {static_cast<RankOrderKind>(words[0]),
                words[1],
                words[2],
                std::bit_cast<double>(words[3])};
    }
};

}  // namespace holdfast::train
