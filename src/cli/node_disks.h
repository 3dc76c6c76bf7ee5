// Whether the ranks on other nodes see the run's directory, and what those do that do not: their
// parts of checkpoints go to rank 0's node, and come from there at a start.
//
// Both sides are one collective at the beginning of a run on several nodes; on one node there is
// nothing to ask. Own the channel. One thread; what they serve has its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/run_directory.h"
#include "checkpoint/transfer_buffers.h"
#include "cli/rank_session.h"
#include "dist/byte_channel.h"
#include "fs/file_system.h"
#include "train/file_service.h"
#include "train/rank_leader.h"
#include "train/remote_file_system.h"

namespace holdfast::cli {

// Of checkpoint.gather.
inline constexpr const char* kGatherAuto = "auto";
inline constexpr const char* kGatherOn = "on";
inline constexpr const char* kGatherOff = "off";

// Rank 0's side: serves its disk to those that need it.
class OfferedDisk {
public:
    // Throws base::Failure (usage) when a rank does not see the directory and `gather` is off.
    OfferedDisk(RankSession& session,
                train::RankLeader& leader,
                const checkpoint::RunDirectory& run,
                const std::string& gather);

    // The checkpoint at this path is about to be read by all.
    void allow(const std::string& path);

private:
    std::unique_ptr<checkpoint::AlignedBuffer> buffer_;
    std::unique_ptr<train::FileService> service_;
    std::unique_ptr<dist::ByteChannel> channel_;  // last: its thread uses the others
};

// The side of every other rank.
class SeenDisk {
public:
    explicit SeenDisk(RankSession& session) : session_(session) {}

    // Answers why this rank does not see the directory that `question` tells of; empty: it does.
    std::string look(const std::string& question);
    // What all answered.
    void take(const std::vector<std::string>& answers);
    // On which checkpoints are, under the paths of rank 0.
    [[nodiscard]] fs::FileSystem& files();

private:
    RankSession& session_;
    bool may_gather_ = true;
    std::unique_ptr<dist::ByteChannel> channel_;
    std::unique_ptr<train::RemoteFileSystem> remote_;  // null: this node sees it
};

}  // namespace holdfast::cli
