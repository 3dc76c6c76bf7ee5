#include "telemetry/metrics_log.h"

#include <vector>

#include <gtest/gtest.h>

#include "base/log.h"
#include "fs/durable_write.h"
#include "telemetry/failing_file_system.h"
#include "temporary_directory.h"

namespace holdfast::telemetry {
namespace {

StepMetrics step_line(std::int64_t step) {
    StepMetrics metrics;
    metrics.step = step;
    metrics.loss = 4.0 / static_cast<double>(step + 1);
    return metrics;
}

class MetricsLogTest : public testing::Test {
protected:
    MetricsLogTest() {
        base::capture_log([this](base::LogLevel level, std::string_view text) {
            if (level != base::LogLevel::kInfo) {
                warnings_.emplace_back(text);
            }
        });
    }
    ~MetricsLogTest() override { base::capture_log(nullptr); }

    std::unique_ptr<MetricsLog> open() {
        auto log = MetricsLog::open(file_system_, path_);
        EXPECT_TRUE(log.ok()) << log.error().what;
        return std::move(log).value();
    }
    std::string content(const std::string& path) {
        const auto text = fs::read_file(file_system_, path, 1U << 30U);
        EXPECT_TRUE(text.ok()) << text.error().what;
        return text.value();
    }
    std::string content() { return content(path_); }
    static std::string lines(std::int64_t first, std::int64_t last) {
        std::string text;
        for (std::int64_t step = first; step <= last; ++step) {
            text += to_json_line(step_line(step)) + '\n';
        }
        return text;
    }
    LogPosition write_steps(std::int64_t first, std::int64_t last) {
        auto log = open();
        for (std::int64_t step = first; step <= last; ++step) {
            log->append(step_line(step));
        }
        EXPECT_TRUE(log->sync().ok());
        return log->position();
    }
    LogCut cut(const LogPosition& remembered) {
        const auto done = cut_log(file_system_, path_, remembered, tail_path_);
        EXPECT_TRUE(done.ok()) << done.error().what;
        return done.value();
    }

    TemporaryDirectory directory_;
    std::string path_ = directory_ / "metrics.jsonl";
    std::string tail_path_ = directory_ / "metrics.1-abc.jsonl";
    FailingFileSystem file_system_;
    std::vector<std::string> warnings_;
};

TEST_F(MetricsLogTest, PositionIsLengthAndChecksumOfTheFile) {
    const LogPosition position = write_steps(0, 9);
    EXPECT_EQ(content(), lines(0, 9));
    EXPECT_EQ(position.bytes, content().size());
    EXPECT_EQ(position.checksum, base::checksum64(content()));
    const auto read = read_log_position(file_system_, path_, position.bytes);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read.value(), position);
}

TEST_F(MetricsLogTest, ContinuesTheChecksumOfAnOlderStart) {
    write_steps(0, 4);
    const LogPosition position = write_steps(5, 9);
    EXPECT_EQ(content(), lines(0, 9));
    EXPECT_EQ(position.checksum, base::checksum64(lines(0, 9)));
}

TEST_F(MetricsLogTest, AHalfLineOfACrashIsCutAtOpening) {
    ASSERT_TRUE(fs::replace_file(file_system_, path_, lines(0, 2) + "{\"step\":3,\"lo").ok());
    const LogPosition position = write_steps(3, 3);
    EXPECT_EQ(content(), lines(0, 3));
    EXPECT_EQ(position.bytes, lines(0, 3).size());
}

TEST_F(MetricsLogTest, CutKeepsTheTailBeside) {
    const LogPosition remembered = write_steps(0, 4);
    write_steps(5, 7);
    const LogCut done = cut(remembered);
    EXPECT_TRUE(done.matches);
    EXPECT_EQ(done.note, "");
    EXPECT_EQ(done.position, remembered);
    EXPECT_EQ(content(), lines(0, 4));
    EXPECT_EQ(content(tail_path_), lines(5, 7));
}

TEST_F(MetricsLogTest, CutIsRepeatableAndNeverLosesAnOlderTail) {
    const LogPosition remembered = write_steps(0, 4);
    write_steps(5, 6);
    // A crash between copying the tail and cutting: the copy stands, the log is whole.
    ASSERT_TRUE(fs::replace_file(file_system_, tail_path_, lines(5, 6)).ok());
    EXPECT_EQ(cut(remembered).tail_path, tail_path_);
    EXPECT_EQ(cut(remembered).tail_bytes, 0U);
    EXPECT_EQ(content(tail_path_), lines(5, 6));
    write_steps(5, 7);
    const LogCut second = cut(remembered);
    EXPECT_EQ(second.tail_path, directory_ / "metrics.1-abc-2.jsonl");
    EXPECT_EQ(content(second.tail_path), lines(5, 7));
    EXPECT_EQ(content(tail_path_), lines(5, 6));
}

TEST_F(MetricsLogTest, ADamagedPrefixIsToldAndKept) {
    const LogPosition remembered = write_steps(0, 4);
    std::string damaged = lines(0, 6);
    damaged[3] = 'X';
    ASSERT_TRUE(fs::replace_file(file_system_, path_, damaged).ok());
    const LogCut done = cut(remembered);
    EXPECT_FALSE(done.matches);
    EXPECT_NE(done.note.find("their checksum is another"), std::string::npos) << done.note;
    EXPECT_EQ(content(), damaged.substr(0, remembered.bytes));
    EXPECT_EQ(content(tail_path_), lines(5, 6));
}

TEST_F(MetricsLogTest, AShorterLogIsToldAndCutToWholeLines) {
    const LogPosition remembered = write_steps(0, 9);
    ASSERT_TRUE(fs::replace_file(file_system_, path_, lines(0, 3) + "{\"st").ok());
    const LogCut done = cut(remembered);
    EXPECT_FALSE(done.matches);
    EXPECT_EQ(content(), lines(0, 3));
    EXPECT_EQ(done.position.bytes, lines(0, 3).size());
}

// A rollback cuts the log before its first checkpoint is there; when the power goes in between, the
// run goes on at the checkpoint it was to leave, whose lines are in the tail.
TEST_F(MetricsLogTest, P1_ATailThatCompletesTheLogIsPutBack) {
    const LogPosition older = write_steps(0, 4);
    const LogPosition head = write_steps(5, 7);
    write_steps(8, 9);
    ASSERT_TRUE(fs::replace_file(file_system_, directory_ / "metrics.1-aaa.jsonl", "x\n").ok());
    ASSERT_EQ(cut(older).position, older);
    const LogCut back = cut(head);
    EXPECT_TRUE(back.matches);
    EXPECT_EQ(back.note, "");
    EXPECT_EQ(back.position, head);
    EXPECT_EQ(content(), lines(0, 7));
    EXPECT_EQ(content(tail_path_), lines(5, 9));
    EXPECT_EQ(content(back.tail_path), lines(8, 9));
}

TEST_F(MetricsLogTest, AMissingLogIsBegunAnew) {
    const LogCut done = cut(LogPosition{100, 1});
    EXPECT_FALSE(done.matches);
    EXPECT_EQ(done.position, LogPosition{});
}

TEST_F(MetricsLogTest, AFullDiskLosesNoLineAndWarnsOnce) {
    auto log = open();
    log->append(step_line(0));
    file_system_.failures.writes = true;
    file_system_.failures.bytes_before = 7;  // half a line reaches the disk
    for (std::int64_t step = 1; step <= 5; ++step) {
        log->append(step_line(step));
    }
    EXPECT_FALSE(log->sync().ok());
    EXPECT_EQ(warnings_.size(), 1U);
    EXPECT_EQ(log->position().bytes, lines(0, 5).size());
    file_system_.failures.writes = false;
    log->append(step_line(6));
    EXPECT_TRUE(log->sync().ok());
    EXPECT_EQ(content(), lines(0, 6));
    EXPECT_EQ(log->position().checksum, base::checksum64(content()));
}

TEST_F(MetricsLogTest, AfterAFailedFsyncTheFileIsWrittenAnew) {
    auto log = open();
    log->append(step_line(0));
    const std::uint64_t inode = file_system_.status(path_).value().inode;
    file_system_.failures.syncs = true;
    EXPECT_FALSE(log->sync().ok());
    file_system_.failures.syncs = false;
    log->append(step_line(1));
    EXPECT_TRUE(log->sync().ok());
    EXPECT_NE(file_system_.status(path_).value().inode, inode);
    log->append(step_line(2));
    EXPECT_TRUE(log->sync().ok());
    EXPECT_EQ(content(), lines(0, 2));
}

TEST_F(MetricsLogTest, BytesLostByAFailedFsyncAreTold) {
    auto log = open();
    log->append(step_line(0));
    file_system_.failures.syncs = true;
    EXPECT_FALSE(log->sync().ok());
    file_system_.failures.syncs = false;
    {
        auto file = fs::real_file_system().open(path_, {.mode = fs::OpenMode::kReadWrite});
        const std::string other = "#";
        ASSERT_TRUE(fs::write_all(*file.value(), std::as_bytes(std::span(other)), 3).ok());
    }
    EXPECT_EQ(log->sync().error().kind, base::ErrorKind::kCorrupt);
    log->append(step_line(1));
    EXPECT_TRUE(log->sync().ok());
    EXPECT_EQ(log->position().checksum, base::checksum64(content()));
}

TEST_F(MetricsLogTest, WhenMemoryIsFullWholeRecordsAreRefusedAndCounted) {
    auto opened = PatientFile::open(file_system_, path_, 10);
    ASSERT_TRUE(opened.ok());
    auto& file = *opened.value();
    file_system_.failures.writes = true;
    EXPECT_TRUE(file.append("123456\n"));
    EXPECT_FALSE(file.append("7890\n"));
    EXPECT_EQ(file.refused_records(), 1);
    file_system_.failures.writes = false;
    EXPECT_TRUE(file.append("abcd\n"));
    EXPECT_TRUE(file.sync().ok());
    EXPECT_EQ(content(), "123456\nabcd\n");
    EXPECT_EQ(file.position().checksum, base::checksum64(content()));
}

TEST_F(MetricsLogTest, FileThatWasDeletedOrReplacedIsPutBackWhole) {
    auto log = open();
    log->append(step_line(1));
    ASSERT_TRUE(log->sync().ok());
    ASSERT_EQ(::unlink(path_.c_str()), 0);
    log->append(step_line(2));
    ASSERT_TRUE(log->sync().ok());
    EXPECT_EQ(content(), lines(1, 2));
    ASSERT_TRUE(fs::replace_file(file_system_, path_, "something else\n").ok());
    log->append(step_line(3));
    ASSERT_TRUE(log->sync().ok());
    EXPECT_EQ(content(), lines(1, 3));
}

TEST_F(MetricsLogTest, ASymlinkStaysOneWhateverBecomesOfTheFile) {
    const std::string elsewhere = directory_ / "on another disk.jsonl";
    ASSERT_TRUE(file_system_.make_symlink(elsewhere, path_).ok());
    auto log = open();
    const auto is_symlink = [&] { return file_system_.read_symlink(path_).ok(); };
    log->append(step_line(1));
    ASSERT_TRUE(log->sync().ok());
    EXPECT_TRUE(is_symlink());
    const std::uint64_t inode = file_system_.status(elsewhere).value().inode;
    ASSERT_TRUE(log->sync().ok());
    EXPECT_EQ(file_system_.status(elsewhere).value().inode, inode) << "it is in its place";
    ASSERT_EQ(::unlink(elsewhere.c_str()), 0);
    log->append(step_line(2));
    ASSERT_TRUE(log->sync().ok());
    EXPECT_TRUE(is_symlink());
    EXPECT_EQ(content(elsewhere), lines(1, 2));
}

}  // namespace
}  // namespace holdfast::telemetry
