// A value or an Error. C++20 has no std::expected; this is the part of it we use.
//
// [[nodiscard]] on the type: a Result that nobody looks at is a compile error under our flags.
// value() and error() check that they are asked for what is there (a wrong question is our bug,
// HF_CHECK).
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/error.h"

namespace holdfast::base {

template <typename T>
class [[nodiscard]] Result {
public:
    // Implicit on purpose: `return value;` and `return error;` read as what they are.
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const { return state_.index() == 0; }

    [[nodiscard]] const T& value() const& {
        HF_CHECK(ok(), "value() of a failed result: {}", std::get<1>(state_).what);
        return std::get<0>(state_);
    }
    [[nodiscard]] T& value() & {
        HF_CHECK(ok(), "value() of a failed result: {}", std::get<1>(state_).what);
        return std::get<0>(state_);
    }
    [[nodiscard]] T&& value() && {
        HF_CHECK(ok(), "value() of a failed result: {}", std::get<1>(state_).what);
        return std::get<0>(std::move(state_));
    }
    [[nodiscard]] const Error& error() const {
        HF_CHECK(!ok(), "error() of a successful result");
        return std::get<1>(state_);
    }

private:
    std::variant<T, Error> state_;
};

// Success without a value, or an Error. `return Status{};` is success.
class [[nodiscard]] Status {
public:
    Status() = default;
    // NOLINTNEXTLINE(google-explicit-constructor)
    Status(Error error) : error_(std::move(error)) {}

    [[nodiscard]] bool ok() const { return !error_.has_value(); }
    [[nodiscard]] const Error& error() const {
        HF_CHECK(error_.has_value(), "error() of a successful status");
        return *error_;
    }

private:
    std::optional<Error> error_;
};

}  // namespace holdfast::base
