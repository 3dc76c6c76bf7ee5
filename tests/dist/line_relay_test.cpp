#include "dist/line_relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/launched_program.h"
#include "dist/pipe_reader.h"

namespace holdfast::dist {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RelayToPipe : public testing::Test {
protected:
    std::string written() { return reader_.drain(sink_); }

    PipeReader reader_;
    OutputSink sink_{reader_.write_end()};
    LastLines last_;
};

TEST_F(RelayToPipe, PutsThePrefixBeforeEachWholeLine) {
    LineRelay relay("[rank 3] ", sink_, last_);
    relay.take("one\ntw");
    EXPECT_EQ(written(), "[rank 3] one\n");
    relay.take("o");
    EXPECT_EQ(written(), "");
    relay.take("\n\nfour\n");
    EXPECT_EQ(written(), "[rank 3] two\n[rank 3] \n[rank 3] four\n");
    relay.finish();
    EXPECT_EQ(written(), "");
    EXPECT_THAT(last_.lines(), ElementsAre("one", "two", "", "four"));
}

TEST_F(RelayToPipe, PartsOfSeveralRanksNeverMix) {
    LineRelay one("[rank 1] ", sink_, last_);
    LineRelay two("[rank 2] ", sink_, last_);
    one.take("a1");
    two.take("b1");
    one.take(" a2");
    two.take(" b2\n");
    one.take(" a3\n");
    EXPECT_EQ(written(), "[rank 2] b1 b2\n[rank 1] a1 a2 a3\n");
}

TEST_F(RelayToPipe, TheEndMakesALineOfWhatIsLeft) {
    LineRelay relay("[rank 1] ", sink_, last_);
    relay.take("no newline");
    relay.finish();
    EXPECT_EQ(written(), "[rank 1] no newline\n");
    EXPECT_THAT(last_.lines(), ElementsAre("no newline"));
}

TEST_F(RelayToPipe, ALineTooLongIsCutWithAMark) {
    LineRelay relay("[rank 1] ", sink_, last_);
    const std::string fits = repeated('a', LineRelay::kLineBytesMax);
    relay.take(fits);
    relay.take("\n");
    EXPECT_EQ(written(), "[rank 1] " + fits + "\n");
    relay.take(fits + repeated('b', 500));
    relay.take("c\nnext\n");
    EXPECT_EQ(written(), "[rank 1] " + fits + " [cut: a line of 66037 bytes]\n[rank 1] next\n");
}

TEST_F(RelayToPipe, WithoutAPrefixBytesPassAsTheyAre) {
    LineRelay relay("", sink_, last_);
    relay.take("one\nstep 1\rste");
    EXPECT_EQ(written(), "one\nstep 1\r");
    relay.take("p 2\r");
    EXPECT_EQ(written(), "step 2\r");
    relay.take("\x1b[Kdone\nrest");
    relay.finish();
    EXPECT_EQ(written(), "\x1b[Kdone\nrest");
    EXPECT_THAT(last_.lines(), ElementsAre("one", "\x1b[Kdone", "rest"));
}

TEST_F(RelayToPipe, WithoutAPrefixNothingIsCut) {
    LineRelay relay("", sink_, last_);
    const std::string text = repeated('x', 3 * LineRelay::kLineBytesMax + 5);
    std::string seen;
    for (const char character : text) {
        relay.take({&character, 1});
        seen += written();
    }
    relay.take("\n");
    EXPECT_EQ(seen + written(), text + '\n');
}

TEST_F(RelayToPipe, AnotherRanksLineWaitsForTheEndOfTheFirstOnes) {
    LineRelay first("", sink_, last_);
    LineRelay other("[rank 1] ", sink_, last_);
    first.take("ha");
    other.take("between\n");
    first.take("lf\n");
    EXPECT_EQ(written(), "[rank 1] between\nhalf\n");
}

TEST(LastLines, KeepsTheLastTwentyEachNotTooLong) {
    LastLines last;
    EXPECT_THAT(last.lines(), IsEmpty());
    for (int i = 0; i < 30; ++i) {
        last.add(std::to_string(i));
    }
    last.add(repeated('x', 5000));
    const std::vector<std::string> lines = last.lines();
    ASSERT_EQ(lines.size(), 20U);
    EXPECT_EQ(lines.front(), "11");
    EXPECT_EQ(lines.back(), repeated('x', 2048) + "...");
}

}  // namespace
}  // namespace holdfast::dist
