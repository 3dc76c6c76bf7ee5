#include "dist/line_relay.h"

#include <utility>

#include <fmt/format.h>

namespace holdfast::dist {

void LastLines::add(std::string_view line) {
    if (lines_.size() == kLineCountMax) {
        lines_.pop_front();
    }
    lines_.push_back(line.size() <= kBytesMax ? std::string(line)
                                              : fmt::format("{}...", line.substr(0, kBytesMax)));
}

LineRelay::LineRelay(std::string prefix, OutputSink& sink, LastLines& last_lines)
    : prefix_(std::move(prefix)), sink_(&sink), last_lines_(&last_lines) {}

void LineRelay::take(std::string_view bytes) {
    if (prefix_.empty()) {
        pass_on(bytes);
    }
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        line_ += part.substr(0, kLineBytesMax - line_.size());
        line_bytes_ += part.size();
        if (end == std::string_view::npos) {
            return;
        }
        end_line();
        bytes.remove_prefix(end + 1);
    }
}

void LineRelay::pass_on(std::string_view bytes) {
    const std::size_t end = bytes.find_last_of("\r\n");
    if (end != std::string_view::npos) {
        held_ += bytes.substr(0, end + 1);
        sink_->put_bytes(held_);
        held_.clear();
        bytes.remove_prefix(end + 1);
    }
    held_ += bytes;
    if (held_.size() > kLineBytesMax) {
        sink_->put_bytes(held_);
        held_.clear();
    }
}

void LineRelay::end_line() {
    if (!prefix_.empty()) {
        sink_->put_line(
            line_bytes_ == line_.size()
                ? prefix_ + line_
                : fmt::format("{}{} [cut: a line of {} bytes]", prefix_, line_, line_bytes_));
    }
    // What a redrawn line showed last is what was on the screen.
    const std::string_view text(line_);
    const std::string_view shown = text.substr(0, text.find_last_not_of('\r') + 1);
    last_lines_->add(shown.substr(shown.rfind('\r') + 1));
    line_.clear();
    line_bytes_ = 0;
}

void LineRelay::finish() {
    sink_->put_bytes(held_);
    held_.clear();
    if (line_bytes_ > 0) {
        end_line();
    }
}

}  // namespace holdfast::dist
