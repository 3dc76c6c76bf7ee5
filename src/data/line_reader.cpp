#include "data/line_reader.h"

#include <cerrno>

#include <fmt/format.h>

#include "base/words.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

constexpr std::size_t kReadBytes = std::size_t{256} << 10U;

}  // namespace

// Appends to `buffer_`, after moving what is left in it to the front; 0 at the end of the file.
Result<std::size_t> LineReader::read_more() {
    buffer_.erase(0, begin_);
    begin_ = 0;
    const std::size_t before = buffer_.size();
    buffer_.resize(before + kReadBytes);
    while (true) {
        const Result<std::size_t> count =
            file_.read_at(std::as_writable_bytes(std::span(buffer_).subspan(before)), read_offset_);
        if (!count.ok() && count.error().os_errno == EINTR) {
            continue;
        }
        buffer_.resize(before + (count.ok() ? count.value() : 0));
        if (count.ok()) {
            read_offset_ += count.value();
        }
        return count;
    }
}

Result<std::optional<std::string_view>> LineReader::next() {
    std::size_t searched = 0;
    while (true) {
        const std::string_view rest = std::string_view(buffer_).substr(begin_);
        const std::size_t length = rest.find('\n', searched);
        const std::size_t known = length == std::string_view::npos ? rest.size() : length;
        if (known > line_bytes_max_) {
            return Error{ErrorKind::kInvalid,
                         fmt::format("{}:{}: the line is longer than {}; cut the document into "
                                     "several lines, or give it as a text file of its own",
                                     path_,
                                     line_number_ + 1,
                                     base::bytes_in_words(line_bytes_max_)),
                         0};
        }
        if (length != std::string_view::npos) {
            begin_ += length + 1;
            bytes_done_ += length + 1;
            ++line_number_;
            return std::optional(rest.substr(0, length));
        }
        searched = rest.size();
        const Result<std::size_t> count = read_more();
        if (!count.ok()) {
            return count.error();
        }
        if (count.value() > 0) {
            continue;
        }
        if (buffer_.empty()) {
            return std::optional<std::string_view>();
        }
        begin_ = buffer_.size();
        bytes_done_ += buffer_.size();
        ++line_number_;
        return std::optional(std::string_view(buffer_));
    }
}

}  // namespace holdfast::data
