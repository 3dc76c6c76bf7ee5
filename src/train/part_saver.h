// The saver of a rank that does not publish: it keeps a snapshot of what this rank owns, and a
// thread that writes it when rank 0 asks (promise P5: the step loop waits for one memory copy).
//
// A capture waits while the one before is being written. An order for a snapshot that a newer
// capture has taken the place of is answered with an error; one that is not captured yet is waited
// for.
//
// Owns the thread (joined by the destructor), its connection to the store and the transfer buffers.
// Borrows the snapshot, which must outlive it. capture() belongs to one thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "checkpoint/transfer_buffers.h"
#include "dist/rank_store.h"
#include "fs/file_system.h"
#include "state/snapshot.h"
#include "train/part_order.h"
#include "train/rank_part_writer.h"

namespace holdfast::train {

class PartSaver {
public:
    PartSaver(fs::FileSystem& file_system,
              state::Snapshot& snapshot,
              const RankShare& share,
              std::unique_ptr<dist::RankStore> store);
    // Finishes what is being written, then joins.
    ~PartSaver();
    PartSaver(const PartSaver&) = delete;
    PartSaver& operator=(const PartSaver&) = delete;
    PartSaver(PartSaver&&) = delete;
    PartSaver& operator=(PartSaver&&) = delete;

    // Fills the snapshot through `fill`; from now on it is the one of `ticket`.
    void capture(std::int64_t ticket, const std::function<void()>& fill);

private:
    void run_orders();
    base::Result<PartAnswer> carry_out(const PartOrder& order);
    base::Result<PartAnswer> write_or_scan(const PartOrder& order);

    fs::FileSystem& file_system_;
    state::Snapshot& snapshot_;
    RankShare share_;
    std::unique_ptr<dist::RankStore> store_;
    checkpoint::TransferBuffers buffers_;

    std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    std::int64_t ticket_ = 0;  // of the snapshot
    bool in_use_ = false;      // it is being filled or written
    bool ending_ = false;

    std::thread thread_;  // started when everything else is there
};

}  // namespace holdfast::train
