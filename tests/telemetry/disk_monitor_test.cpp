#include "telemetry/disk_monitor.h"

#include <condition_variable>
#include <mutex>

#include <gmock/gmock.h>

#include "base/log.h"
#include "failing_file_system.h"
#include "temporary_directory.h"

namespace holdfast::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kNever = 1e6;

// The real file system, whose disk says what the test wants. Any thread.
class RoomyFileSystem : public FailingFileSystem {
public:
    base::Result<fs::SpaceStatus> space(const std::string& path) override {
        const std::scoped_lock lock(mutex_);
        ++looks_;
        looked_.notify_all();
        if (is_unreadable_) {
            return base::error_from_errno("look at the space of", path, EIO);
        }
        return fs::SpaceStatus{.total_bytes = 100, .available_bytes = 100 - percent_};
    }
    // Answers how many looks there were before.
    int set_percent(std::uint64_t percent) {
        const std::scoped_lock lock(mutex_);
        percent_ = percent;
        is_unreadable_ = false;
        return looks_;
    }
    void make_unreadable() {
        const std::scoped_lock lock(mutex_);
        is_unreadable_ = true;
    }
    void wait_for_looks(int looks) {
        std::unique_lock lock(mutex_);
        looked_.wait(lock, [&] { return looks_ >= looks; });
    }

private:
    std::mutex mutex_;
    std::condition_variable looked_;
    std::uint64_t percent_ = 10;
    bool is_unreadable_ = false;
    int looks_ = 0;
};

class DiskMonitorTest : public ::testing::Test {
protected:
    DiskMonitorTest() {
        base::capture_log([this](base::LogLevel level, std::string_view text) {
            const std::scoped_lock lock(mutex_);
            lines_.push_back((level == base::LogLevel::kAlarm ? "ALARM " : "warning ") +
                             std::string(text));
        });
    }
    ~DiskMonitorTest() override { base::capture_log(nullptr); }

    std::vector<std::string> lines() {
        const std::scoped_lock lock(mutex_);
        return lines_;
    }

    TemporaryDirectory directory_;
    RoomyFileSystem disk_;
    std::mutex mutex_;
    std::vector<std::string> lines_;
};

TEST_F(DiskMonitorTest, LooksAtOnceAndThenAgain) {
    DiskMonitor monitor(disk_, directory_.path(), {}, 1e-3);
    disk_.wait_for_looks(5);
    EXPECT_THAT(lines(), IsEmpty());
}

TEST_F(DiskMonitorTest, EndsWithoutWaitingForTheNextLook) {
    disk_.set_percent(71);
    {
        DiskMonitor monitor(disk_, directory_.path(), {}, kNever);
        disk_.wait_for_looks(1);
    }
    EXPECT_THAT(lines(), ElementsAre(HasSubstr("71 % full")));
}

TEST_F(DiskMonitorTest, LookTellsWhatTheDiskSaysNow) {
    DiskMonitor monitor(disk_, directory_.path(), {}, kNever);
    disk_.wait_for_looks(1);
    disk_.set_percent(75);
    monitor.look();
    monitor.look();
    disk_.set_percent(95);
    monitor.look();
    EXPECT_THAT(lines(),
                ElementsAre(AllOf(HasSubstr("warning "), HasSubstr("75 % full")),
                            AllOf(HasSubstr("ALARM "), HasSubstr("95 % full"))));
}

TEST_F(DiskMonitorTest, AnUnreadablePathIsToldOnceAndTriedAgain) {
    disk_.make_unreadable();
    DiskMonitor monitor(disk_, directory_.path(), {}, 1e-3);
    disk_.wait_for_looks(3);
    EXPECT_THAT(lines(), ElementsAre(HasSubstr(directory_.path())));
    // The look after the next has begun, so the next is told.
    disk_.wait_for_looks(disk_.set_percent(95) + 2);
    EXPECT_THAT(lines(), ElementsAre(HasSubstr(directory_.path()), HasSubstr("95 % full")));
}

TEST_F(DiskMonitorTest, WatchesTheRealDiskOfAPath) {
    const DiskThresholds off{.warn_percent = 0, .alert_percent = 0};
    DiskMonitor monitor(fs::real_file_system(), directory_.path(), off, kNever);
    monitor.look();
    EXPECT_THAT(lines(), IsEmpty());
    DiskMonitor lost(fs::real_file_system(), directory_ / "gone", off, kNever);
    lost.look();
    EXPECT_THAT(lines(), ElementsAre(HasSubstr("gone")));
}

}  // namespace
}  // namespace holdfast::telemetry
