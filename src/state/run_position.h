// Where a run stands between two steps: everything that is not a tensor.
//
// Plain values. With the tensors of Snapshot this is all that a resumed run needs; what is a pure
// function of these (learning rate, data order, dropout masks) is computed again, never stored.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/philox.h"
#include "base/result.h"
#include "data/cursor.h"

namespace holdfast::state {

struct RunPosition {
    std::int64_t step = 0;  // optimizer steps taken, refused ones included
    std::string phase = "base";
    data::Cursor cursor;      // of the next window
    std::int64_t tokens = 0;  // consumed since the run began
    std::uint64_t seed = 0;
    std::int64_t lanes = 1;
};

// One value a random stream: what the generator gives at one fixed point under this seed.
struct StreamProbeValue {
    std::string_view stream;
    std::uint64_t value = 0;
};

// Of every stream of the program. Stored with a checkpoint.
std::vector<StreamProbeValue> probe_streams(std::uint64_t seed);

}  // namespace holdfast::state
