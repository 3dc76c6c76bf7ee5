// What a check of a fuzz target says when something does not hold.
//
// Thrown and not HF_CHECKed, so that the replay of the corpus can name the input and go on; under
// libFuzzer nobody catches it, which ends the process as a crash.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.h"

namespace holdfast::fuzz {

class Broken : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

inline void require(bool holds, std::string_view claim) {
    if (!holds) {
        throw Broken(std::string(claim));
    }
}

// The promise for bad input: one line that a terminal shows as it is, of a length that a person
// reads.
void require_one_line(const base::Error& error);

}  // namespace holdfast::fuzz
