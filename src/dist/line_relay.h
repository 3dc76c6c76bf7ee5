// The way of one stream of one rank: bytes from its pipe to whole lines in an output.
//
// The lines of most ranks get a prefix ("[rank 3] "). Rank 0 has none: its bytes reach the output
// as they are, up to the last newline or carriage return at once, so that a line that it redraws
// moves. A line longer than kLineBytesMax is cut, with a mark that tells its length; in the stream
// without a prefix nothing is cut, but from there on another rank's line may come between.
//
// Use from one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "dist/output_sink.h"

namespace holdfast::dist {

// The last lines of a rank, over its streams, for the report of its failure.
class LastLines {
public:
    static constexpr std::size_t kLineCountMax = 20;
    // Of each line; what is longer is cut with "...".
    static constexpr std::size_t kBytesMax = 2048;

    void add(std::string_view line);
    [[nodiscard]] std::vector<std::string> lines() const { return {lines_.begin(), lines_.end()}; }

private:
    std::deque<std::string> lines_;
};

class LineRelay {
public:
    static constexpr std::size_t kLineBytesMax = std::size_t{64} << 10;

    // `sink` and `last_lines` must outlive this object. An empty prefix: bytes as they are.
    LineRelay(std::string prefix, OutputSink& sink, LastLines& last_lines);

    void take(std::string_view bytes);
    // The stream has ended: what is left becomes a line, or for no prefix is passed on as it is.
    void finish();

    [[nodiscard]] OutputSink& sink() const { return *sink_; }

private:
    void pass_on(std::string_view bytes);
    void end_line();

    std::string prefix_;
    OutputSink* sink_;
    LastLines* last_lines_;
    std::string line_;            // no more than kLineBytesMax of it
    std::size_t line_bytes_ = 0;  // what it has in truth
    std::string held_;            // without a prefix: what waits for the end of its line
};

}  // namespace holdfast::dist
