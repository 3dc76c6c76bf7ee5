#include "data/global_order.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::data {
namespace {

std::vector<std::int64_t> whole_order(std::uint64_t seed, std::int64_t epoch, std::int64_t count) {
    const GlobalOrder order(seed, epoch, count);
    std::vector<std::int64_t> windows;
    for (std::int64_t sample = 0; sample < count; ++sample) {
        windows.push_back(order.window_at(sample));
    }
    return windows;
}

// Also that the inverse is one.
void expect_bijective(std::int64_t count, std::int64_t epoch) {
    const GlobalOrder order(42, epoch, count);
    std::vector<bool> seen(static_cast<std::size_t>(count), false);
    for (std::int64_t sample = 0; sample < count; ++sample) {
        const std::int64_t window = order.window_at(sample);
        ASSERT_GE(window, 0);
        ASSERT_LT(window, count);
        ASSERT_FALSE(seen[static_cast<std::size_t>(window)]) << "count " << count;
        seen[static_cast<std::size_t>(window)] = true;
        ASSERT_EQ(order.sample_of(window), sample) << "count " << count;
    }
}

TEST(GlobalOrder, P3_IsAPermutationOfEverySmallCount) {
    for (std::int64_t count = 1; count <= 300; ++count) {
        expect_bijective(count, count % 3);
    }
}

TEST(GlobalOrder, P3_IsAPermutationAroundPowersAndPrimes) {
    for (const std::int64_t count :
         {1021, 1023, 1024, 1025, 4095, 4096, 4097, 7919, 65536, 65537}) {
        expect_bijective(count, 1);
    }
}

// The values of window_at in reference_order.py.
TEST(GlobalOrder, P3_IsThisFunctionForEver) {
    EXPECT_EQ(whole_order(1337, 0, 10), (std::vector<std::int64_t>{7, 1, 0, 6, 4, 3, 8, 2, 5, 9}));
    EXPECT_EQ(whole_order(1337, 1, 10), (std::vector<std::int64_t>{1, 3, 0, 4, 2, 5, 9, 7, 6, 8}));
    const GlobalOrder large(
        0xFFFFFFFFFFFFFFFF, (std::int64_t{1} << 33) + 5, std::int64_t{1'000'000'000'039});
    EXPECT_EQ(large.window_at(0), 459670409755);
    EXPECT_EQ(large.window_at(1), 296541530425);
    EXPECT_EQ(large.window_at(1'000'000'000'038), 131576510879);
}

TEST(GlobalOrder, ReachesTheLargestCounts) {
    for (const std::int64_t count :
         {(std::int64_t{1} << 40) + 3, (std::int64_t{1} << 62) - 1, std::int64_t{1} << 62}) {
        const GlobalOrder order(3, 5, count);
        for (const std::int64_t sample : {std::int64_t{0}, std::int64_t{1}, count / 3, count - 1}) {
            const std::int64_t window = order.window_at(sample);
            EXPECT_GE(window, 0);
            EXPECT_LT(window, count);
            EXPECT_EQ(order.sample_of(window), sample);
        }
    }
}

TEST(GlobalOrder, IsEqualForEqualKeysAndDiffersForOthers) {
    const auto order = whole_order(7, 2, 1000);
    EXPECT_EQ(order, whole_order(7, 2, 1000));
    EXPECT_NE(order, whole_order(8, 2, 1000));
    EXPECT_NE(order, whole_order(7, 3, 1000));
    EXPECT_NE(order, whole_order(7, 2 + (std::int64_t{1} << 32), 1000));
    EXPECT_NE(order, whole_order(7 + (std::uint64_t{1} << 63U), 2, 1000));
}

TEST(GlobalOrder, LeavesAboutOneWindowWhereItWas) {
    // The number of fixed points of a random permutation is Poisson with mean 1: over 400 orders
    // the sum is 400 with a standard deviation of 20.
    std::int64_t fixed = 0;
    for (std::int64_t epoch = 0; epoch < 400; ++epoch) {
        const GlobalOrder order(11, epoch, 500);
        for (std::int64_t sample = 0; sample < 500; ++sample) {
            fixed += order.window_at(sample) == sample ? 1 : 0;
        }
    }
    EXPECT_GT(fixed, 300);
    EXPECT_LT(fixed, 500);
}

TEST(GlobalOrder, SpreadsNeighboursEvenly) {
    // Chi-square of (first window's tenth, second window's tenth) over epochs: 99 degrees of
    // freedom, mean 99, standard deviation 14.
    constexpr int kEpochs = 20000;
    constexpr std::int64_t kCount = 970;
    std::vector<int> cells(100, 0);
    for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
        const GlobalOrder order(5, epoch, kCount);
        const std::int64_t cell =
            order.window_at(400) * 10 / kCount * 10 + order.window_at(401) * 10 / kCount;
        ++cells[static_cast<std::size_t>(cell)];
    }
    double chi_square = 0;
    for (const int count : cells) {
        chi_square += std::pow(count - kEpochs / 100.0, 2) / (kEpochs / 100.0);
    }
    EXPECT_LT(chi_square, 99 + 5 * 14);
    EXPECT_GT(chi_square, 99 - 5 * 14);
}

TEST(GlobalOrder, MeetsEveryOrderOfThreeWindowsOverTheEpochs) {
    std::vector<int> orders(27, 0);
    for (std::int64_t epoch = 0; epoch < 6000; ++epoch) {
        const GlobalOrder order(1, epoch, 3);
        ++orders[static_cast<std::size_t>(order.window_at(0) * 9 + order.window_at(1) * 3 +
                                          order.window_at(2))];
    }
    int met = 0;
    for (const int count : orders) {
        if (count > 0) {
            ++met;
            EXPECT_GT(count, 700);
            EXPECT_LT(count, 1300);
        }
    }
    EXPECT_EQ(met, 6);
}

}  // namespace
}  // namespace holdfast::data
