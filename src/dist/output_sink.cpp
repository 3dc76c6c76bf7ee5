#include "dist/output_sink.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace holdfast::dist {

namespace {

// What a pipe with room takes at once (PIPE_BUF).
constexpr std::size_t kCarefulBytesMax = 4096;
constexpr std::string_view kEraseLine = "\r\x1b[K";

bool knows_how_to_erase() {
    const char* term = std::getenv("TERM");
    return term != nullptr && std::string_view(term) != "dumb";
}

// A second, non-waiting open file over the same pipe or terminal; not open where there is none. A
// regular file has a place at which it is written, so it is never opened again.
OwnedDescriptor open_again(int descriptor) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 ||
        (!S_ISFIFO(status.st_mode) && ::isatty(descriptor) != 1)) {
        return OwnedDescriptor();
    }
    const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
    OwnedDescriptor opened(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!opened.is_open()) {
        return opened;  // as after su: the terminal is another user's
    }
    base::Result<OwnedDescriptor> placed = above_standard(std::move(opened));
    return placed.ok() ? std::move(placed).value() : OwnedDescriptor();
}

}  // namespace

OutputSink::OutputSink(int descriptor)
    : borrowed_(descriptor),
      own_(open_again(descriptor)),
      is_terminal_(::isatty(descriptor) == 1),
      redraws_(is_terminal_ && knows_how_to_erase()) {}

int OutputSink::descriptor() const {
    return own_.is_open() ? own_.number() : borrowed_;
}

void OutputSink::put_bytes(std::string_view bytes) {
    if (bytes.empty()) {
        return;
    }
    if (leaves_out_ && is_full()) {
        lost_line_count_ += std::count(bytes.begin(), bytes.end(), '\n');
        return;
    }
    queue_ += bytes;
    at_line_start_ = bytes.back() == '\n';
}

void OutputSink::put_line(std::string_view text) {
    if (leaves_out_ && is_full()) {
        ++lost_line_count_;
        return;
    }
    if (redraws_) {
        queue_ += kEraseLine;
    } else if (!at_line_start_) {
        queue_ += '\n';
    }
    queue_ += text;
    queue_ += '\n';
    at_line_start_ = true;
}

void OutputSink::write_some() {
    while (has_pending()) {
        std::size_t bytes = pending_bytes();
        if (!own_.is_open()) {
            bytes = std::min(bytes, kCarefulBytesMax);
        }
        const ssize_t count = ::write(descriptor(), queue_.data() + written_, bytes);
        if (count < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                write_errno_ = errno;
                lose_queue();
            }
            break;
        }
        written_ += static_cast<std::size_t>(count);
        if (!own_.is_open()) {
            break;  // whether there is room for more, poll() must say
        }
    }
    if (!has_pending()) {
        queue_.clear();
        written_ = 0;
    } else if (written_ >= kQueuedBytesMax) {
        queue_.erase(0, written_);
        written_ = 0;
    }
}

void OutputSink::lose_queue() {
    lost_line_count_ +=
        std::count(queue_.begin() + static_cast<std::ptrdiff_t>(written_), queue_.end(), '\n');
    queue_.clear();
    written_ = 0;
}

bool same_output(int first, int second) {
    struct stat first_status {};
    struct stat second_status {};
    return ::fstat(first, &first_status) == 0 && ::fstat(second, &second_status) == 0 &&
           first_status.st_dev == second_status.st_dev &&
           first_status.st_ino == second_status.st_ino;
}

}  // namespace holdfast::dist
