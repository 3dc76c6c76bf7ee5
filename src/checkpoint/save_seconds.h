// Where the time of a save went.
#pragma once

namespace holdfast::checkpoint {

// Summed over files.
struct SaveSeconds {
    double write_seconds = 0;  // copying, hashing, writing, fsync
    double read_back_seconds = 0;
};

}  // namespace holdfast::checkpoint
