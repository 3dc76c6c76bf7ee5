// The one place that makes a gloo process group. Everywhere else it is a c10d::Backend.
//
// Collectives between CPUs over TCP. `local_address` is the address of this machine that gloo
// listens on and tells the others: "127.0.0.1" when all ranks are on one machine, so that nobody
// outside can reach it. Blocks until all `size` ranks have come or `timeout_seconds` passed; then
// throws what libtorch throws. Later collectives that take longer than the timeout throw.
#pragma once

#include <string>

#include <c10/util/intrusive_ptr.h>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace holdfast::dist {

c10::intrusive_ptr<c10d::Backend> make_gloo_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                    int rank,
                                                    int size,
                                                    double timeout_seconds,
                                                    const std::string& local_address);

}  // namespace holdfast::dist
