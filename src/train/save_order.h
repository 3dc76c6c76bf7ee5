// What the trainer hands to the saver, and what it hears of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/manifest.h"

namespace holdfast::train {

struct SaveOrder {
    checkpoint::Pool pool = checkpoint::Pool::kRolling;
    // Complete but for the save id, files and readback. `owed` names further pools to join.
    checkpoint::Manifest manifest;
    // The caller tells of a failure itself (the first save of a run, without which there is none).
    bool caller_tells = false;
};

// What came of a save.
struct SaveOutcome {
    std::int64_t step = -1;
    std::optional<base::Error> error;
    std::string label;  // "rolling/step_00000250" when there is no error
    std::string path;
    double write_seconds = 0;  // beside training
};

}  // namespace holdfast::train
