// Whether a device trains as the CPU does, and the same way twice: a small model, forward and
// backward. What `holdfast doctor` asks of each device.
#pragma once

#include <c10/core/Device.h>

#include "base/result.h"

namespace holdfast::model {

// In fp32 and bf16: two micro-batches with dropout, twice on `device` and once with libtorch's
// kernels on the CPU. kInvalid, in one line, when the two differ in a bit, or when the loss or the
// gradient is farther from the CPU's than rounding explains. Waits for the device; a few MB.
base::Status self_check(c10::Device device);

}  // namespace holdfast::model
