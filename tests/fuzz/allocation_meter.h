// How much memory of operator new a piece of code holds at its highest point. The program that
// links this has operator new replaced by one that counts. One meter at a time; it counts what all
// threads do.
#pragma once

#include <cstddef>

namespace holdfast::fuzz {

class AllocationMeter {
public:
    AllocationMeter();

    // Since the meter was made, above what was held then.
    [[nodiscard]] std::size_t peak_bytes() const;

private:
    std::size_t bytes_at_start_;
};

}  // namespace holdfast::fuzz
