// Whether ranks exchange what they should, bit for bit. What `holdfast doctor` asks of the ranks of
// a machine, and of the network between several.
#pragma once

#include <c10/core/Device.h>

#include "base/result.h"
#include "dist/communicator.h"

namespace holdfast::dist {

// Collective: three steps of a gradient exchange with buckets of several sizes, the return of the
// weights in fp32 and bf16, and the loss, held against the same sums made on the CPU. kInvalid, in
// one line and the same on all ranks, where a rank found another bit. Waits; throws base::Failure
// when a rank is lost (communicator.h).
base::Status self_check(Communicator& group, c10::Device device);

}  // namespace holdfast::dist
