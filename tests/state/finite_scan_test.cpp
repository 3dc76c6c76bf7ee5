#include "state/finite_scan.h"

#include <array>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace holdfast::state {
namespace {

class FiniteScan : public testing::Test {
protected:
    TensorBytes view(std::vector<float>& numbers, const char* dtype = "F32") {
        return {"w",
                dtype,
                {static_cast<std::int64_t>(numbers.size())},
                std::as_writable_bytes(std::span(numbers))};
    }
    std::vector<float> numbers_ = std::vector<float>(10000, 1.0F);
};

TEST_F(FiniteScan, FindsEachKindWhereverItIs) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
        for (const std::size_t index : {0U, 1U, 4095U, 4096U, 9999U}) {
            numbers_.assign(numbers_.size(), 1.0F);
            numbers_[index] = bad;
            const std::array tensors = {view(numbers_)};
            const auto found = find_non_finite(tensors);
            ASSERT_TRUE(found) << bad << " at " << index;
            EXPECT_EQ(found->index, static_cast<std::int64_t>(index));
            EXPECT_TRUE(std::isnan(bad) ? std::isnan(found->value) : found->value == bad);
        }
    }
}

TEST_F(FiniteScan, FiniteNumbersOfEverySizeAreFinite) {
    numbers_[0] = std::numeric_limits<float>::max();
    numbers_[1] = std::numeric_limits<float>::denorm_min();
    numbers_[2] = -std::numeric_limits<float>::max();
    numbers_[3] = -0.0F;
    const std::array tensors = {view(numbers_)};
    EXPECT_FALSE(find_non_finite(tensors));
}

TEST_F(FiniteScan, LooksAtF32Only) {
    numbers_[7] = std::numeric_limits<float>::quiet_NaN();
    const std::array tensors = {view(numbers_, "I64")};
    EXPECT_FALSE(find_non_finite(tensors));
}

}  // namespace
}  // namespace holdfast::state
