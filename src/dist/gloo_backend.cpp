#include "dist/gloo_backend.h"

#include <chrono>
#include <cstdint>

// Debian's headers of gloo describe the classes that libtorch was built with well enough to make a
// group, and no more is done with them here.
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace holdfast::dist {

c10::intrusive_ptr<c10d::Backend> make_gloo_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                    int rank,
                                                    int size,
                                                    double timeout_seconds,
                                                    const std::string& local_address) {
    auto options = c10d::ProcessGroupGloo::Options::create(
        std::chrono::milliseconds(static_cast<std::int64_t>(timeout_seconds * 1e3)));
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(local_address));
    return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
}

}  // namespace holdfast::dist
