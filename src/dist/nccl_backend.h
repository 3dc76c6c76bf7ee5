// The one place that makes an NCCL process group, in the cuda flavour.
//
// Collectives between GPUs; calls only enqueue. Throws base::Failure (usage) in the cpu flavour,
// and what libtorch throws when there is no GPU.
#pragma once

#include <c10/util/intrusive_ptr.h>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace holdfast::dist {

c10::intrusive_ptr<c10d::Backend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                    int rank,
                                                    int size,
                                                    double timeout_seconds);

}  // namespace holdfast::dist
