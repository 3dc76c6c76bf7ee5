#include "dist/rank_output.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>

#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/check.h"
#include "base/clock.h"

namespace holdfast::dist {

RankOutput::RankOutput(int stdout_descriptor, int stderr_descriptor) : out_(stdout_descriptor) {
    if (!same_output(stdout_descriptor, stderr_descriptor)) {
        err_.emplace(stderr_descriptor);
    }
}

void RankOutput::tell(std::string_view text) {
    err().put_line(fmt::format("holdfast: {}", text));
}

void RankOutput::set_leaves_out(bool leaves_out) {
    out().set_leaves_out(leaves_out);
    err().set_leaves_out(leaves_out);
}

void RankOutput::add_to(std::vector<pollfd>& polled) {
    if (out_.has_pending()) {
        polled.push_back({out_.descriptor(), POLLOUT, 0});
    }
    if (err_ && err_->has_pending()) {
        polled.push_back({err_->descriptor(), POLLOUT, 0});
    }
}

void RankOutput::write_ready(const std::vector<pollfd>& polled) {
    for (const pollfd& entry : polled) {
        if (entry.revents == 0) {
            continue;
        }
        if (entry.fd == out_.descriptor()) {
            out_.write_some();
        } else if (err_ && entry.fd == err_->descriptor()) {
            err_->write_some();
        }
    }
}

void RankOutput::drain(SignalInbox& inbox, StopRecord& stop, double seconds_max) {
    bool over = false;
    while (!over && (out().has_pending() || err().has_pending())) {
        if (stop.asked() && !drained_until_seconds_) {
            drained_until_seconds_ = base::monotonic_seconds() + seconds_max;
        }
        // Once more after the time is over: what has room is written.
        over = drained_until_seconds_ && base::monotonic_seconds() >= *drained_until_seconds_;
        std::vector<pollfd> polled = {{inbox.descriptor(), POLLIN, 0}};
        add_to(polled);
        if (poll_until(polled, drained_until_seconds_)) {
            write_ready(polled);
        }
        for (const int signal_number : inbox.take()) {
            if (is_stop_signal(signal_number)) {
                stop.signals.push_back(signal_number);
            }
        }
    }
}

bool is_stop_signal(int signal_number) {
    return signal_number == SIGINT || signal_number == SIGTERM || signal_number == SIGHUP;
}

bool poll_until(std::vector<pollfd>& polled, std::optional<double> deadline_seconds) {
    int timeout_ms = -1;
    if (deadline_seconds) {
        const double left_ms = std::ceil((*deadline_seconds - base::monotonic_seconds()) * 1000.0);
        timeout_ms =
            static_cast<int>(std::clamp(left_ms, 0.0, double{std::numeric_limits<int>::max()}));
    }
    const int ready = ::poll(polled.data(), polled.size(), timeout_ms);
    HF_CHECK(ready >= 0 || errno == EINTR || errno == ENOMEM || errno == EAGAIN,
             "poll of {} descriptors: error {}",
             polled.size(),
             errno);
    return ready > 0;
}

}  // namespace holdfast::dist
