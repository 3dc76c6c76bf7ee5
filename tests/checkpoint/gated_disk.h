// A disk that can be made to hang, or to be short of space: a new file whose path holds a text
// waits while the gate is closed. Any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "fs/fault_file_system.h"

namespace holdfast::checkpoint {

class GatedDisk : public fs::FaultFileSystem {
public:
    using FaultFileSystem::FaultFileSystem;

    void close_gate(std::string path_part) {
        const std::scoped_lock lock(mutex_);
        part_ = std::move(path_part);
        waits_ = false;
    }
    void open_gate() {
        const std::scoped_lock lock(mutex_);
        part_.clear();
        changed_.notify_all();
    }
    void wait_until_somebody_waits() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waits_; });
    }
    // What statvfs answers; 0: the truth.
    void pretend_available(std::uint64_t bytes) { available_bytes_ = bytes; }

    base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                 const fs::OpenOptions& options) override {
        if (options.mode == fs::OpenMode::kCreateNew) {
            std::unique_lock lock(mutex_);
            const auto is_held = [&] {
                return !part_.empty() && path.find(part_) != std::string::npos;
            };
            waits_ = waits_ || is_held();
            changed_.notify_all();
            changed_.wait(lock, [&] { return !is_held(); });
        }
        return FaultFileSystem::open(path, options);
    }
    base::Result<fs::SpaceStatus> space(const std::string& path) override {
        auto space = FaultFileSystem::space(path);
        if (space.ok() && available_bytes_ > 0) {
            return fs::SpaceStatus{space.value().total_bytes, available_bytes_};
        }
        return space;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string part_;
    bool waits_ = false;
    std::atomic<std::uint64_t> available_bytes_ = 0;
};

}  // namespace holdfast::checkpoint
