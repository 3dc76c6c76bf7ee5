#include "dist/owned_descriptor.h"

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace holdfast::dist {

using base::Result;
using base::Status;

namespace {

constexpr int kFirstAboveStandard = STDERR_FILENO + 1;

}  // namespace

Result<OwnedDescriptor> above_standard(OwnedDescriptor descriptor) {
    if (descriptor.number() >= kFirstAboveStandard) {
        return descriptor;
    }
    OwnedDescriptor moved(::fcntl(descriptor.number(), F_DUPFD_CLOEXEC, kFirstAboveStandard));
    if (!moved.is_open()) {
        return base::error_from_errno("duplicate", "a descriptor", errno);
    }
    return moved;
}

OwnedDescriptor& OwnedDescriptor::operator=(OwnedDescriptor&& other) noexcept {
    if (this != &other) {
        close();
        number_ = other.release();
    }
    return *this;
}

void OwnedDescriptor::close() {
    if (number_ >= 0) {
        ::close(std::exchange(number_, -1));
    }
}

int OwnedDescriptor::release() {
    return std::exchange(number_, -1);
}

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return base::error_from_errno("make", "a pipe", errno);
    }
    OwnedDescriptor first(ends[0]);
    OwnedDescriptor second(ends[1]);
    Result<OwnedDescriptor> read_end = above_standard(std::move(first));
    if (!read_end.ok()) {
        return read_end.error();
    }
    Result<OwnedDescriptor> write_end = above_standard(std::move(second));
    if (!write_end.ok()) {
        return write_end.error();
    }
    return Pipe{std::move(read_end).value(), std::move(write_end).value()};
}

Status set_non_blocking(int descriptor) {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) {
        return base::error_from_errno("set the mode of", "a pipe", errno);
    }
    return Status{};
}

}  // namespace holdfast::dist
