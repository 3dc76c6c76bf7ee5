// This process as one of the ranks of a run: how it was started, and its connection to the others.
//
// Owns store, group and watch: a rank that does not answer for long ends this process with exit
// code
// 75. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <c10/core/Device.h>

#include "base/error.h"
#include "config/settings.h"
#include "dist/byte_channel.h"
#include "dist/communicator.h"
#include "dist/dist_config.h"
#include "dist/launch_environment.h"
#include "dist/rank_store.h"
#include "dist/rank_watch.h"

namespace holdfast::cli {

class RankSession {
public:
    // Waits for the other ranks. Null when this process is the only one. Throws base::Failure when
    // they do not come in time.
    static std::unique_ptr<RankSession> join(const dist::LaunchEnvironment& launch,
                                             const dist::DistConfig& config,
                                             c10::Device device);

    // Rank 0 serves the store: it leaves last, unless the others take too long.
    ~RankSession();
    RankSession(const RankSession&) = delete;
    RankSession& operator=(const RankSession&) = delete;
    RankSession(RankSession&&) = delete;
    RankSession& operator=(RankSession&&) = delete;

    [[nodiscard]] int rank() const { return group_->rank(); }
    [[nodiscard]] int size() const { return group_->size(); }
    [[nodiscard]] const dist::RankPlace& place() const { return launch_.place; }
    [[nodiscard]] const dist::LaunchEnvironment& launch() const { return launch_; }
    [[nodiscard]] dist::Communicator& group() { return *group_; }
    [[nodiscard]] dist::RankWatch& watch() { return *watch_; }

    // Another group of the same ranks, of which `local_size` count as one node. Collective; `name`
    // is new. Throws base::Failure when a rank does not come.
    [[nodiscard]] std::unique_ptr<dist::Communicator> form_group(const std::string& name,
                                                                 int local_size);

    // A connection of its own to the store of the run, for another thread.
    [[nodiscard]] std::unique_ptr<dist::RankStore> connect() const;

    // Collective: a channel of all ranks to rank 0. Throws base::Failure when one does not come.
    std::unique_ptr<dist::ByteChannel> open_channel();

    // To be called when this rank ends by `failure`: tells the others why; or, when it ends because
    // another rank is gone, answers the failure that names that rank.
    base::Failure explain(const base::Failure& failure);

    // Throws base::Failure (usage), on every rank, when another program, other settings or other
    // data are on some rank than on rank 0: one line that names rank and difference.
    void check_alike(const config::Settings& settings, const std::string& data_fingerprint);

private:
    void leave();
    RankSession(dist::LaunchEnvironment launch, std::unique_ptr<dist::RankStore> store);

    dist::LaunchEnvironment launch_;
    std::unique_ptr<dist::RankStore> store_;
    dist::GroupOptions options_;
    c10::Device device_{c10::kCPU};
    std::unique_ptr<dist::Communicator> group_;
    std::unique_ptr<dist::RankWatch> watch_;
};

// Throws base::Failure (usage) when `ranks` ranks cannot share `lanes` lanes, naming the counts
// that can.
void check_rank_count(std::int64_t ranks, std::int64_t lanes);

}  // namespace holdfast::cli
