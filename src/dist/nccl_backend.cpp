#include "dist/nccl_backend.h"

#include <chrono>
#include <cstdint>

#include <torch/csrc/distributed/c10d/Backend.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include "base/error.h"

namespace holdfast::dist {

c10::intrusive_ptr<c10d::Backend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                    int rank,
                                                    int size,
                                                    double timeout_seconds) {
#ifdef USE_C10D_NCCL
    auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/true);
    options->timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_seconds * 1e3));
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
#else
    static_cast<void>(store);
    static_cast<void>(rank);
    static_cast<void>(size);
    static_cast<void>(timeout_seconds);
    throw base::Failure(base::ExitCode::kUsage,
                        "ranks on GPUs need the cuda flavour: build with `tools/build --flavour "
                        "cuda`, or set --device cpu");
#endif
}

}  // namespace holdfast::dist
