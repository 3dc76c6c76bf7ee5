// Watches the disk that a run writes to and says in the log when it gets full.
//
// A thread of its own looks at once, then every `interval_seconds`; look() looks in between. What
// is told when is telemetry/disk_trend's.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "fs/file_system.h"
#include "telemetry/disk_trend.h"

namespace holdfast::telemetry {

class DiskMonitor {
public:
    static constexpr double kIntervalSeconds = 600;

    // `path` lies on the disk to watch. `file_system` must outlive this.
    DiskMonitor(fs::FileSystem& file_system,
                std::string path,
                const DiskThresholds& thresholds,
                double interval_seconds = kIntervalSeconds);
    // Waits for a look in progress, not for the next.
    ~DiskMonitor();
    DiskMonitor(const DiskMonitor&) = delete;
    DiskMonitor& operator=(const DiskMonitor&) = delete;
    DiskMonitor(DiskMonitor&&) = delete;
    DiskMonitor& operator=(DiskMonitor&&) = delete;

    // Asks the disk and logs what is to be told. Any thread; blocks on the disk.
    void look();

private:
    void watch(double interval_seconds);

    fs::FileSystem& file_system_;
    std::string path_;

    std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    DiskTrend trend_;
    bool is_ending_ = false;

    std::thread thread_;  // started when everything else is there
};

}  // namespace holdfast::telemetry
