#include "cli/rank_session.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "cli/command.h"
#include "config/resolve.h"
#include "dist/sum_tree.h"
#include "train/stop_request.h"

namespace holdfast::cli {

namespace {

using base::ExitCode;
using base::Failure;

constexpr double kLeaveTimeoutSeconds = 10;
constexpr std::chrono::milliseconds kStoreRetry{500};

constexpr std::string_view kGoOn = "start again to go on from the newest checkpoint";

// One try, after which there is a word about it.
constexpr double kStoreTrySeconds = 2;

// The store of the run, with this rank entered in it. On several nodes ranks are started again
// by themselves: for a moment the store of the attempt before may still stand, with a rank of this
// number in it, and is left for the one that follows.
std::unique_ptr<dist::RankStore> enter_store(dist::StoreAddress address,
                                             const dist::RankPlace& place) {
    const double end_seconds = base::monotonic_seconds() + address.timeout_seconds;
    for (bool is_told = false;; is_told = true) {
        const double left_seconds = std::max(0.0, end_seconds - base::monotonic_seconds());
        const bool is_last_try = address.serves || left_seconds <= kStoreTrySeconds;
        address.connect_seconds = std::min(kStoreTrySeconds, left_seconds);
        base::Result<std::unique_ptr<dist::RankStore>> store = dist::RankStore::open(address);
        if (store.ok()) {
            const base::Result<std::int64_t> entered =
                store.value()->add(fmt::format("entered/{}", place.rank), 1);
            if (entered.ok() && entered.value() == 1) {
                return std::move(store).value();
            }
            if (is_last_try) {
                fail_usage(fmt::format(
                    "rank {} is among the ranks at {}:{} already: has another node the same "
                    "--node-rank, or is this another run's address?",
                    place.rank,
                    address.host,
                    address.port));
            }
        } else if (address.serves) {
            fail(store.error());
        } else if (is_last_try) {
            base::Error error = store.error();
            error.what += fmt::format(
                "; waited {}: rank 0, or torchrun's agent, must be started "
                "there, with the same address and port",
                base::duration_in_words(address.timeout_seconds));
            fail(error);
        } else if (!is_told && place.local_rank == 0) {
            base::log_info("ranks   {}; waiting, {} at most",
                           store.error().what,
                           base::duration_in_words(address.timeout_seconds));
        }
        std::this_thread::sleep_for(kStoreRetry);
    }
}

// The step loop may never come back from the call in which it waits for the lost rank.
void leave_lost(const dist::LostRank& lost) {
    base::log_alarm("{}; {}", lost.words, kGoOn);
    std::_Exit(static_cast<int>(ExitCode::kRestart));
}

// What must be the same on all ranks.
nlohmann::ordered_json facts_of(const config::Settings& settings,
                                const std::string& data_fingerprint) {
    const base::BuildInfo& build = base::build_info();
    nlohmann::ordered_json facts =
        nlohmann::ordered_json::parse(config::to_canonical_json(settings));
    // Where the data lies may differ from machine to machine.
    facts.erase("data.train");
    facts.erase("data.val");
    facts["the data (fingerprint)"] = data_fingerprint;
    facts["the program"] = fmt::format(
        "{} {} {} libtorch {}", build.version, build.commit, build.flavour, TORCH_VERSION);
    return facts;
}

}  // namespace

RankSession::RankSession(dist::LaunchEnvironment launch, std::unique_ptr<dist::RankStore> store)
    : launch_(std::move(launch)), store_(std::move(store)) {}

RankSession::~RankSession() {
    if (watch_ != nullptr && !group_->is_broken()) {
        try {
            leave();
        } catch (const std::bad_alloc&) {
            // The others meet closed connections instead of a farewell.
            return;
        }
    }
}

void RankSession::leave() {
    watch_->end();
    base::Result<std::int64_t> left = store_->add("left", 1);
    const double end_seconds = base::monotonic_seconds() + kLeaveTimeoutSeconds;
    while (rank() == 0 && left.ok() && left.value() < size() &&
           base::monotonic_seconds() < end_seconds) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        left = store_->add("left", 0);
    }
}

std::unique_ptr<RankSession> RankSession::join(const dist::LaunchEnvironment& launch,
                                               const dist::DistConfig& config,
                                               c10::Device device) {
    const dist::RankPlace& place = launch.place;
    if (place.size == 1) {
        return nullptr;
    }
    const bool is_one_node = place.node_count == 1;
    dist::StoreAddress address{.host = is_one_node ? "127.0.0.1" : launch.master_host,
                               .port = static_cast<std::uint16_t>(launch.master_port),
                               .serves = place.rank == 0 && !launch.agent_serves_store,
                               .listen_fd = launch.master_listen_fd.value_or(-1),
                               .token = launch.token,
                               .timeout_seconds = config.join_timeout_seconds};
    const bool restarts_alone = launch.launcher == dist::Launcher::kHoldfast && !is_one_node;
    if (!restarts_alone) {
        // Ranks that were started again are others than those before. Supervisors of several nodes
        // do not count together.
        address.token += fmt::format("/{}", launch.restart_count);
    }
    if (launch.agent_serves_store) {
        address.host = launch.master_host;
    }
    // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
    std::unique_ptr<RankSession> session(new RankSession(launch, enter_store(address, place)));
    dist::GroupOptions& options = session->options_;
    session->device_ = device;
    options.shape = {.rank = place.rank,
                     .size = place.size,
                     .local_rank = place.local_rank,
                     .local_size = place.local_size};
    options.join_timeout_seconds = config.join_timeout_seconds;
    options.timeout_seconds = config.timeout_seconds;
    if (!is_one_node) {
        options.local_address = value_or_fail(dist::address_towards(address.host, address.port));
    }
    session->group_ = value_or_fail(dist::Communicator::form(*session->store_, options, device));
    session->watch_ = std::make_unique<dist::RankWatch>(
        session->connect(),
        dist::RankWatchOptions{.rank = place.rank,
                               .size = place.size,
                               .lost_seconds = config.lost_after_seconds,
                               .on_signal = train::StopRequest::ask,
                               .heard_signal = train::StopRequest::heard,
                               .on_lost = leave_lost});
    if (place.rank == 0) {
        base::log_info("ranks   {} ({} on each of {} node(s)), started by {}; they meet at {}:{}{}",
                       place.size,
                       place.local_size,
                       place.node_count,
                       dist::name_of(launch.launcher),
                       address.host,
                       session->store_->address().port,
                       is_one_node ? ", reachable from this machine only" : "");
    }
    return session;
}

std::unique_ptr<dist::Communicator> RankSession::form_group(const std::string& name,
                                                            int local_size) {
    dist::GroupOptions options = options_;
    options.name = name;
    options.shape.local_size = local_size;
    options.shape.local_rank = options.shape.rank % local_size;
    return value_or_fail(dist::Communicator::form(*store_, options, device_));
}

std::unique_ptr<dist::RankStore> RankSession::connect() const {
    return value_or_fail(store_->connect_again());
}

std::unique_ptr<dist::ByteChannel> RankSession::open_channel() {
    return value_or_fail(dist::ByteChannel::form(*store_, options_));
}

Failure RankSession::explain(const Failure& failure) {
    if (!group_->is_broken()) {
        watch_->tell_failure(failure.what());
        return failure;
    }
    const std::optional<dist::LostRank> lost = watch_->find_lost();
    return lost ? Failure(failure.exit_code(), fmt::format("{}; {}", lost->words, kGoOn)) : failure;
}

void RankSession::check_alike(const config::Settings& settings,
                              const std::string& data_fingerprint) {
    const std::vector<std::string> texts =
        group_->gather_texts(facts_of(settings, data_fingerprint).dump());
    const auto first = nlohmann::ordered_json::parse(texts.front());
    for (std::size_t rank = 1; rank < texts.size(); ++rank) {
        const auto other = nlohmann::ordered_json::parse(texts.at(rank));
        for (const auto& [key, value] : first.items()) {
            if (!other.contains(key) || other.at(key) != value) {
                fail_usage(fmt::format(
                    "rank {} differs from rank 0: {} is {} there and {} on rank 0; start all ranks "
                    "with the same program, settings and data",
                    rank,
                    key,
                    other.contains(key) ? other.at(key).dump() : "not known",
                    value.dump()));
            }
        }
    }
}

void check_rank_count(std::int64_t ranks, std::int64_t lanes) {
    const std::vector<std::int64_t> valid = dist::valid_rank_counts(lanes);
    for (const std::int64_t count : valid) {
        if (count == ranks) {
            return;
        }
    }
    fail_usage(fmt::format(
        "{} ranks cannot share the {} lanes of this run so that it keeps its bits; {} can "
        "(--nproc-per-node; batch.lanes is fixed when a run is created)",
        ranks,
        lanes,
        fmt::join(valid, ", ")));
}

}  // namespace holdfast::cli
