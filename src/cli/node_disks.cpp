#include "cli/node_disks.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/checksum.h"
#include "base/log.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/manifest.h"
#include "cli/command.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "train/part_order.h"

namespace holdfast::cli {

namespace {

using Json = nlohmann::json;

// What tells the file from a copy of it on another disk; empty when it cannot be read.
std::string mark_of(const std::string& directory) {
    fs::FileSystem& files = fs::real_file_system();
    const std::string path = fs::join(directory, std::string(checkpoint::kRunFileName));
    const base::Result<std::string> text =
        fs::read_file(files, path, checkpoint::kManifestBytesMax);
    const base::Result<fs::FileStatus> status = files.status(path);
    return text.ok() && status.ok()
               ? fmt::format(
                     "{} {}", status.value().inode, base::to_hex(base::checksum64(text.value())))
               : std::string();
}

}  // namespace

OfferedDisk::OfferedDisk(RankSession& session,
                         train::RankLeader& leader,
                         const checkpoint::RunDirectory& run,
                         const std::string& gather) {
    const std::string directory = train::path_for_all_ranks(run.paths().directory);
    const std::vector<std::string> answers = leader.ask_who_sees(
        Json{{"directory", directory}, {"mark", mark_of(directory)}, {"gather", gather}}.dump());
    std::vector<std::size_t> blind;
    for (std::size_t rank = 0; rank < answers.size(); ++rank) {
        if (!answers.at(rank).empty()) {
            blind.push_back(rank);
        }
    }
    if (blind.empty()) {
        return;
    }
    if (gather == kGatherOff) {
        fail_usage(fmt::format(
            "rank {} {}: give all nodes a common disk under this path, or let the ranks without it "
            "send their parts of checkpoints to rank 0 (--checkpoint-gather auto)",
            blind.front(),
            answers.at(blind.front())));
    }
    base::log_info("disk    rank {} {}; parts of checkpoints of rank(s) {} go through rank 0",
                   blind.front(),
                   answers.at(blind.front()),
                   fmt::join(blind, ", "));
    buffer_ = std::make_unique<checkpoint::AlignedBuffer>(dist::ByteChannel::kBodyBytesMax);
    service_ = std::make_unique<train::FileService>(fs::real_file_system(), directory);
    channel_ = session.open_channel();
    channel_->serve(
        buffer_->bytes(),
        [service = service_.get()](
            int rank, std::string_view head, std::span<std::byte> buffer, std::size_t body_bytes) {
            return service->answer(rank, head, buffer, body_bytes);
        });
}

void OfferedDisk::allow(const std::string& path) {
    if (service_ != nullptr) {
        service_->allow(train::path_for_all_ranks(path));
    }
}

std::string SeenDisk::look(const std::string& question) {
    const Json json = Json::parse(question, nullptr, false);
    const auto text = [&](const char* key) {
        return json.is_object() && json.contains(key) && json[key].is_string()
                   ? json[key].get<std::string>()
                   : std::string();
    };
    const std::string gather = text("gather");
    const std::string directory = text("directory");
    may_gather_ = gather != kGatherOff;
    const dist::RankPlace& place = session_.place();
    if (place.rank < place.local_size) {
        return "";  // on rank 0's node
    }
    if (gather == kGatherOn) {
        return "is on another node (checkpoint.gather is on)";
    }
    const std::string mark = mark_of(directory);
    return !mark.empty() && mark == text("mark")
               ? std::string()
               : fmt::format("does not see the run in {}", directory);
}

void SeenDisk::take(const std::vector<std::string>& answers) {
    const bool all_see = std::all_of(
        answers.begin(), answers.end(), [](const std::string& answer) { return answer.empty(); });
    if (all_see || !may_gather_) {
        return;
    }
    channel_ = session_.open_channel();
    if (!answers.at(static_cast<std::size_t>(session_.rank())).empty()) {
        remote_ = std::make_unique<train::RemoteFileSystem>(*channel_);
    }
}

fs::FileSystem& SeenDisk::files() {
    return remote_ != nullptr ? *remote_ : fs::real_file_system();
}

}  // namespace holdfast::cli
