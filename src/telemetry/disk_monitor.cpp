#include "telemetry/disk_monitor.h"

#include <chrono>
#include <new>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace holdfast::telemetry {

DiskMonitor::DiskMonitor(fs::FileSystem& file_system,
                         std::string path,
                         const DiskThresholds& thresholds,
                         double interval_seconds)
    : file_system_(file_system), path_(std::move(path)), trend_(path_, thresholds) {
    thread_ = std::thread([this, interval_seconds] { watch(interval_seconds); });
}

DiskMonitor::~DiskMonitor() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void DiskMonitor::look() {
    // Without the lock: a disk that hangs must not hold up who ends.
    const base::Result<fs::SpaceStatus> space = file_system_.space(path_);
    std::optional<DiskMessage> message;
    {
        const std::lock_guard lock(mutex_);
        message = space.ok() ? trend_.add(base::monotonic_seconds(), space.value())
                             : trend_.fail(space.error());
    }
    if (message) {
        base::log_line(
            message->level == DiskLevel::kAlert ? base::LogLevel::kAlarm : base::LogLevel::kWarning,
            message->text);
    }
}

void DiskMonitor::watch(double interval_seconds) {
    const std::chrono::duration<double> interval(interval_seconds);
    std::unique_lock lock(mutex_);
    while (!is_ending_) {
        lock.unlock();
        try {
            look();
        } catch (const std::bad_alloc&) {
            // A thread has nobody to throw to, and what has no memory has no words: the next look
            // comes.
        }
        lock.lock();
        changed_.wait_for(lock, interval, [this] { return is_ending_; });
    }
}

}  // namespace holdfast::telemetry
