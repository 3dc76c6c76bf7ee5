// One trainer a run directory: flock on `<run>/lock`, held for life.
//
// The lock is the open file description: ranks inherit descriptor(), every other child closes it
// (O_CLOEXEC). Host, pid and start stand in the file as text for the message only. One thread at a
// time; still_held() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "checkpoint/run_paths.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

class RunLock {
public:
    // kBusy names the holder. Where flock does not work: kInvalid unless `allow_unlocked`.
    static base::Result<RunLock> take(fs::FileSystem& file_system,
                                      const RunPaths& paths,
                                      bool allow_unlocked);

    // kBusy when the lock file is no longer the one held (the directory was replaced, or somebody
    // removed the file): stop writing and shout. Asked before each publish and each deletion pass.
    [[nodiscard]] base::Status still_held() const;
    // The device the lock file is on, which is that of the run directory.
    [[nodiscard]] std::uint64_t device() const { return device_; }
    // -1 when unlocked.
    [[nodiscard]] int descriptor() const;

private:
    RunLock(fs::FileSystem& file_system, std::string path, std::unique_ptr<fs::File> file);
    base::Status adopt_inode();
    void write_holder() const;

    fs::FileSystem* file_system_;
    std::string path_;
    std::unique_ptr<fs::File> file_;
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    bool locked_ = true;
};

}  // namespace holdfast::checkpoint
