#include "train/rank_status.h"

#include <array>
#include <string_view>
#include <utility>

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Status;

namespace {

constexpr std::string_view kDone = "ok";

constexpr std::array kWords = {std::pair{ErrorKind::kNotFound, std::string_view("not_found")},
                               std::pair{ErrorKind::kCorrupt, std::string_view("corrupt")},
                               std::pair{ErrorKind::kNoSpace, std::string_view("no_space")},
                               std::pair{ErrorKind::kIo, std::string_view("io")},
                               std::pair{ErrorKind::kBusy, std::string_view("busy")},
                               std::pair{ErrorKind::kInvalid, std::string_view("invalid")},
                               std::pair{ErrorKind::kExists, std::string_view("exists")}};

}  // namespace

std::string print_rank_status(const Status& status) {
    if (status.ok()) {
        return std::string(kDone);
    }
    for (const auto& [kind, word] : kWords) {
        if (kind == status.error().kind) {
            return std::string(word) + " " + status.error().what;
        }
    }
    return "io " + status.error().what;
}

Status parse_rank_status(const std::string& text) {
    if (text == kDone) {
        return {};
    }
    const std::size_t space = text.find(' ');
    for (const auto& [kind, word] : kWords) {
        if (space != std::string::npos && text.compare(0, space, word) == 0) {
            return Error{kind, text.substr(space + 1), 0};
        }
    }
    return Error{ErrorKind::kCorrupt,
                 "an answer that this program does not make: are all ranks the same program?",
                 0};
}

}  // namespace holdfast::train
