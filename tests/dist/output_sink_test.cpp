#include "dist/output_sink.h"

#include <cerrno>

#include <signal.h>
#include <sys/socket.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "dist/pipe_reader.h"
#include "temporary_directory.h"

namespace holdfast::dist {
namespace {

TEST(OutputSink, WritesBytesAndLinesInTheirOrder) {
    PipeReader reader;
    OutputSink sink(reader.write_end());
    sink.put_bytes("one\ntwo\n");
    sink.put_line("three");
    EXPECT_TRUE(sink.has_pending());
    EXPECT_EQ(reader.drain(sink), "one\ntwo\nthree\n");
    EXPECT_FALSE(sink.has_pending());
}

TEST(OutputSink, ALineBeginsAtTheStartOfALine) {
    PipeReader reader;
    OutputSink sink(reader.write_end());
    sink.put_bytes("half");
    sink.put_line("whole");
    sink.put_line("whole");
    EXPECT_EQ(reader.drain(sink), "half\nwhole\nwhole\n");
}

TEST(OutputSink, DoesNotWaitForAnOutputThatIsFull) {
    PipeReader reader;
    OutputSink sink(reader.write_end());
    const std::string line(1023, 'a');
    std::string expected;
    while (!sink.is_full()) {
        sink.put_line(line);
        expected += line + '\n';
    }
    sink.write_some();
    EXPECT_TRUE(sink.has_pending()) << "a pipe holds less than a full sink";
    EXPECT_EQ(reader.drain(sink), expected);
    EXPECT_EQ(sink.lost_line_count(), 0);
}

TEST(OutputSink, AFullSinkTakesEverythingUntilItMayLeaveOut) {
    PipeReader reader;
    OutputSink sink(reader.write_end());
    const std::string bytes(OutputSink::kQueuedBytesMax, 'a');
    sink.put_bytes(bytes);
    ASSERT_TRUE(sink.is_full());
    sink.put_line("taken");
    sink.set_leaves_out(true);
    sink.put_line("left out");
    sink.put_bytes("left\nout\n");
    EXPECT_EQ(sink.lost_line_count(), 3);
    EXPECT_EQ(reader.drain(sink), bytes + "\ntaken\n");
    sink.put_line("again");
    EXPECT_EQ(reader.drain(sink), "again\n");
}

TEST(OutputSink, AReaderThatIsGoneCostsTheLinesAndNothingElse) {
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    ASSERT_EQ(::sigaction(SIGPIPE, &ignore, &before), 0);
    PipeReader reader;
    OutputSink sink(reader.write_end());
    reader.close_read_end();
    sink.put_line("one");
    sink.put_line("two");
    sink.write_some();
    EXPECT_FALSE(sink.has_pending());
    EXPECT_EQ(sink.lost_line_count(), 2);
    EXPECT_EQ(sink.write_errno(), EPIPE);
    ASSERT_EQ(::sigaction(SIGPIPE, &before, nullptr), 0);
}

TEST(OutputSink, WritesToWhatCannotBeOpenedAgain) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const OwnedDescriptor reader(ends[0]);
    const OwnedDescriptor writer(ends[1]);
    ASSERT_TRUE(set_non_blocking(reader.number()).ok());
    OutputSink sink(writer.number());
    std::string text;
    for (int i = 0; i < 1000; ++i) {
        sink.put_line(std::to_string(i) + std::string(999, ' '));
    }
    std::array<char, 65536> buffer{};
    while (std::count(text.begin(), text.end(), '\n') < 1000) {
        pollfd room{sink.descriptor(), POLLOUT, 0};
        if (sink.has_pending() && ::poll(&room, 1, 0) > 0) {
            sink.write_some();
        }
        const ssize_t count = ::read(reader.number(), buffer.data(), buffer.size());
        text.append(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    EXPECT_FALSE(sink.has_pending());
    EXPECT_EQ(sink.lost_line_count(), 0);
}

TEST(OutputSink, ARegularFileIsWrittenWhereItsOwnerStands) {
    const TemporaryDirectory directory;
    const std::string path = directory / "log";
    const OwnedDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(::write(file.number(), "before\n", 7), 7);
    OutputSink sink(file.number());
    sink.put_line(std::string(10000, 'x'));
    while (sink.has_pending()) {
        sink.write_some();
    }
    EXPECT_EQ(::lseek(file.number(), 0, SEEK_CUR), 7 + 10001);
}

TEST(OutputSink, OnATerminalALineTakesThePlaceOfTheLiveLine) {
    const OwnedDescriptor terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal.is_open());
    ASSERT_EQ(::grantpt(terminal.number()), 0);
    ASSERT_EQ(::unlockpt(terminal.number()), 0);
    const OwnedDescriptor screen(
        ::open(::ptsname(terminal.number()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(screen.is_open());
    ASSERT_EQ(::setenv("TERM", "xterm", 1), 0);
    OutputSink sink(screen.number());
    EXPECT_TRUE(sink.is_terminal());
    sink.put_line("[rank 1] x");
    sink.write_some();
    std::string shown(64, '\0');
    const ssize_t count = ::read(terminal.number(), shown.data(), shown.size());
    ASSERT_GT(count, 0);
    shown.resize(static_cast<std::size_t>(count));
    EXPECT_EQ(shown, "\r\x1b[K[rank 1] x\r\n");
}

TEST(OutputSink, KnowsTwoWaysToTheSameOutput) {
    PipeReader one;
    PipeReader other;
    const OwnedDescriptor again(::fcntl(one.write_end(), F_DUPFD_CLOEXEC, 0));
    EXPECT_TRUE(same_output(one.write_end(), again.number()));
    EXPECT_FALSE(same_output(one.write_end(), other.write_end()));
    EXPECT_FALSE(same_output(one.write_end(), -1));
}

}  // namespace
}  // namespace holdfast::dist
