#include "train/part_collector.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Between two looks whether it is still worth waiting.
constexpr double kWaitSliceSeconds = 0.5;

}  // namespace

Status PartCollector::tell(const PartOrder& order) {
    return store_->set(part_order_key(++number_), print_part_order(order));
}

Result<PartAnswer> PartCollector::wait_for(std::int64_t rank, double end_seconds) {
    const std::string key = part_answer_key(number_, rank);
    while (true) {
        const Result<std::string> text = store_->get(key, kWaitSliceSeconds);
        if (text.ok()) {
            static_cast<void>(store_->erase(key).ok());  // a key left behind costs memory only
            return parse_part_answer(text.value(), rank);
        }
        if (text.error().kind != ErrorKind::kNotFound) {
            return text.error();
        }
        if (leader_.is_alone()) {
            return Error{ErrorKind::kIo, "a rank is lost", 0};
        }
        if (base::monotonic_seconds() >= end_seconds) {
            return Error{
                ErrorKind::kIo,
                fmt::format("rank {} did not write its part within {} s", rank, timeout_seconds_),
                0};
        }
    }
}

Result<std::vector<PartAnswer>> PartCollector::collect() {
    const double end_seconds = base::monotonic_seconds() + timeout_seconds_;
    std::optional<Error> first_error;
    std::vector<PartAnswer> answers;
    for (std::int64_t rank = 1; rank < ranks(); ++rank) {
        Result<PartAnswer> answer = wait_for(rank, end_seconds);
        if (answer.ok()) {
            answers.push_back(std::move(answer).value());
        } else if (!first_error) {
            first_error = answer.error();
        }
    }
    static_cast<void>(store_->erase(part_order_key(number_)).ok());
    if (first_error) {
        return *first_error;
    }
    return answers;
}

}  // namespace holdfast::train
