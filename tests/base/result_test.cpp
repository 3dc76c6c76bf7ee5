#include "base/result.h"

#include <cerrno>
#include <memory>

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(Result, HoldsAValueOrAnError) {
    const Result<int> value = 3;
    EXPECT_TRUE(value.ok());
    EXPECT_EQ(value.value(), 3);
    const Result<int> error = Error{ErrorKind::kCorrupt, "bad", 0};
    EXPECT_FALSE(error.ok());
    EXPECT_EQ(error.error().kind, ErrorKind::kCorrupt);
}

TEST(Result, GivesAMoveOnlyValueAway) {
    Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
    const std::unique_ptr<int> taken = std::move(result).value();
    EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, AWrongQuestionIsOurBug) {
    const Result<int> error = Error{ErrorKind::kIo, "disk on fire", 0};
    EXPECT_DEATH(static_cast<void>(error.value()), "disk on fire");
}

TEST(Error, ContextIsAddedAndTheKindStays) {
    const Error error =
        error_from_errno("write", "a/b", ENOSPC).within("while publishing step 500");
    EXPECT_EQ(error.kind, ErrorKind::kNoSpace);
    EXPECT_EQ(error.what, "while publishing step 500: cannot write a/b: No space left on device");
    EXPECT_EQ(error.os_errno, ENOSPC);
}

}  // namespace
}  // namespace holdfast::base
