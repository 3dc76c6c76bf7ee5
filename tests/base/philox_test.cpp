#include "base/philox.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

// The known answers of Random123's kat_vectors for philox4x32-10.
TEST(Philox, EqualsTheKnownAnswersOfRandom123) {
    EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0),
              (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff),
              (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
              (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, StreamsOfOneSeedDiffer) {
    EXPECT_NE(stream_key(7, RandomStream::kDropout), stream_key(7, RandomStream::kDataOrder));
    EXPECT_NE(probe_value(7, RandomStream::kDropout), probe_value(8, RandomStream::kDropout));
}

TEST(Philox, UniformStaysBelowOne) {
    EXPECT_EQ(uniform_float(0), 0.0F);
    EXPECT_LT(uniform_float(0xffffffff), 1.0F);
}

}  // namespace
}  // namespace holdfast::base
