// A pipe of which a test holds the reading end: what was written to an output.
#pragma once

#include <array>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "dist/output_sink.h"
#include "dist/owned_descriptor.h"

namespace holdfast::dist {

class PipeReader {
public:
    PipeReader() {
        base::Result<Pipe> made = make_pipe();
        EXPECT_TRUE(made.ok());
        pipe_ = std::move(made).value();
        EXPECT_TRUE(set_non_blocking(pipe_.read_end.number()).ok());
    }

    [[nodiscard]] int write_end() const { return pipe_.write_end.number(); }
    void close_read_end() { pipe_.read_end.close(); }

    // All that is in the pipe now.
    std::string take() {
        std::string text;
        std::array<char, 65536> buffer{};
        for (;;) {
            const ssize_t count = ::read(pipe_.read_end.number(), buffer.data(), buffer.size());
            if (count <= 0) {
                return text;
            }
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }

    // Lets `sink` write until nothing waits in it, reading meanwhile.
    std::string drain(OutputSink& sink) {
        std::string text;
        while (sink.has_pending()) {
            pollfd room{sink.descriptor(), POLLOUT, 0};
            if (::poll(&room, 1, 0) > 0) {
                sink.write_some();
            }
            text += take();
        }
        return text;
    }

private:
    Pipe pipe_;
};

}  // namespace holdfast::dist
