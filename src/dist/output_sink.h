// One output of the supervisor, to which all ranks' lines go: a queue before a descriptor.
//
// A write never keeps the supervisor from its signals and its children: what the output does not
// take waits here. A full sink says so, and its sources are left unread; once the ranks are to end,
// it leaves lines out instead, and counts them, because a rank that waits for its output cannot
// end. Lines are whole: each begins at the start of a line and is written in one piece as long as
// the output takes it.
//
// Use from one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dist/owned_descriptor.h"

namespace holdfast::dist {

class OutputSink {
public:
    // What waits before the sink is full.
    static constexpr std::size_t kQueuedBytesMax = std::size_t{1} << 20;

    // Writes to `descriptor`, which stays the caller's and open. A pipe or a terminal is opened
    // once more for it, in a mode that does not wait, because the mode of the caller's own is
    // shared with other processes; where that is refused, it writes little at a time, and only when
    // poll() says that there is room.
    explicit OutputSink(int descriptor);

    // Bytes as they are.
    void put_bytes(std::string_view bytes);
    // A line of its own, `text` without the newline. On a terminal it takes the place of a live
    // line that another process has drawn there and will draw again.
    void put_line(std::string_view text);

    [[nodiscard]] bool is_full() const { return pending_bytes() >= kQueuedBytesMax; }
    [[nodiscard]] bool has_pending() const { return pending_bytes() > 0; }
    // What to poll for POLLOUT while has_pending().
    [[nodiscard]] int descriptor() const;
    // Writes what the output takes; to be called when poll() says that there is room.
    void write_some();

    // Whether a full sink drops what comes instead of asking its sources to wait.
    void set_leaves_out(bool leaves_out) { leaves_out_ = leaves_out; }
    [[nodiscard]] bool leaves_out() const { return leaves_out_; }
    // Lines that never reached the output.
    [[nodiscard]] std::int64_t lost_line_count() const { return lost_line_count_; }
    // Why writing failed, the last time it did: EPIPE when the reader is gone.
    [[nodiscard]] std::optional<int> write_errno() const { return write_errno_; }

    [[nodiscard]] bool is_terminal() const { return is_terminal_; }

private:
    [[nodiscard]] std::size_t pending_bytes() const { return queue_.size() - written_; }
    void lose_queue();

    int borrowed_ = -1;
    OwnedDescriptor own_;
    bool is_terminal_ = false;
    bool redraws_ = false;  // a terminal that knows how to erase a line
    std::string queue_;
    std::size_t written_ = 0;  // of queue_, from its start
    bool at_line_start_ = true;
    bool leaves_out_ = false;
    std::int64_t lost_line_count_ = 0;
    std::optional<int> write_errno_;
};

// Whether both descriptors lead to the same pipe, terminal or file.
bool same_output(int first, int second);

}  // namespace holdfast::dist
