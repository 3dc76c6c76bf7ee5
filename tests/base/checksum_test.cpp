#include "base/checksum.h"

#include <string>

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

// Expected values from the xxhash reference implementation's command-line tool (xxhsum -H3, -H2).
TEST(Checksum, EqualsTheReferenceOnKnownInput) {
    EXPECT_EQ(to_hex(checksum64(std::string_view(""))), "2d06800538d394c2");
    EXPECT_EQ(to_hex(checksum64(std::string_view("holdfast"))), "4ddf46ebd3ad850b");
}

// Long input takes the path made for wide vectors. Expected: the xxhash package of Python, 4.1.0.
TEST(Checksum, EqualsTheReferenceOnAMegabyte) {
    std::string bytes(1'000'003, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(i * 31 + i / 7);
    }
    EXPECT_EQ(to_hex(checksum64(bytes)), "ee06b195b423d0ac");
    StreamingChecksum pieces;
    for (std::size_t at = 0; at < bytes.size(); at += 4099) {
        pieces.update(std::string_view(bytes).substr(at, 4099));
    }
    EXPECT_EQ(to_hex(pieces.digest64()), "ee06b195b423d0ac");
    EXPECT_EQ(to_hex(pieces.digest128()), "72945705d480b944ee06b195b423d0ac");
}

TEST(Checksum, DoesNotDependOnHowTheBytesArrive) {
    std::string bytes;
    for (int i = 0; i < 5000; ++i) {
        bytes.push_back(static_cast<char>(i * 31 + i / 7));
    }
    StreamingChecksum whole;
    whole.update(bytes);
    StreamingChecksum pieces;
    for (std::size_t at = 0; at < bytes.size(); at += 37) {
        pieces.update(std::string_view(bytes).substr(at, 37));
    }
    EXPECT_EQ(whole.digest64(), checksum64(bytes));
    EXPECT_EQ(pieces.digest64(), whole.digest64());
    EXPECT_EQ(pieces.digest128(), whole.digest128());
}

TEST(Checksum, ChangesWithAnySingleBit) {
    const std::string bytes(300, 'x');
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        std::string flipped = bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ 1);
        EXPECT_NE(checksum64(flipped), checksum64(bytes)) << "bit 0 of byte " << at;
    }
}

TEST(Checksum, HexIsReadBackExactlyAndNothingElseIs) {
    const std::uint64_t value = checksum64(std::string_view("x"));
    EXPECT_EQ(parse_hex64(to_hex(value)), value);
    EXPECT_FALSE(parse_hex64("2d06800538d394c"));
    EXPECT_FALSE(parse_hex64("2d06800538d394c2 "));
    EXPECT_FALSE(parse_hex64("2D06800538D394C2"));
    EXPECT_FALSE(parse_hex64("2d06800538d394cg"));
}

}  // namespace
}  // namespace holdfast::base
