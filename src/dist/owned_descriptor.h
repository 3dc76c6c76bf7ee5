// A file descriptor with an owner, and pipes made of two.
#pragma once

#include "base/result.h"

namespace holdfast::dist {

// Closes its descriptor when it goes. For pipes and sockets, whose close has nothing to report.
class OwnedDescriptor {
public:
    OwnedDescriptor() = default;
    explicit OwnedDescriptor(int number) : number_(number) {}
    ~OwnedDescriptor() { close(); }
    OwnedDescriptor(OwnedDescriptor&& other) noexcept : number_(other.release()) {}
    OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept;
    OwnedDescriptor(const OwnedDescriptor&) = delete;
    OwnedDescriptor& operator=(const OwnedDescriptor&) = delete;

    [[nodiscard]] int number() const { return number_; }
    [[nodiscard]] bool is_open() const { return number_ >= 0; }
    void close();

private:
    int release();

    int number_ = -1;
};

// The same open file at a number above the three standard streams, which a new descriptor may get
// where one of those is closed. Close-on-exec. kIo when the system has no more.
base::Result<OwnedDescriptor> above_standard(OwnedDescriptor descriptor);

struct Pipe {
    OwnedDescriptor read_end;
    OwnedDescriptor write_end;
};

// A pipe of which no other program inherits an end (close-on-exec), above the standard streams. kIo
// when the system has no more.
base::Result<Pipe> make_pipe();

// Makes calls on `descriptor` answer EAGAIN instead of waiting. The flag belongs to the open file,
// so never on one that another process shares.
base::Status set_non_blocking(int descriptor);

}  // namespace holdfast::dist
