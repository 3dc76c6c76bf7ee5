// Names the places of the protocol that wait for the disk.
#pragma once

#include <cstddef>
#include <string>

#include "recorded_life.h"

namespace holdfast::checkpoint {

// Which wait an operation of a recorded act is: "tensor file", "pool after publishing", "trash";
// empty when it is none. Those of backup/ have "backup " before.
std::string sync_site(const RecordedAct& act, std::size_t operation);

}  // namespace holdfast::checkpoint
