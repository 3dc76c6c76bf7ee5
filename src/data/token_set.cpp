#include "data/token_set.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/checksum.h"
#include "base/words.h"
#include "data/dataset_sidecar.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// One folder with its sidecar, and what of it a set uses.
struct PreparedFolder {
    std::optional<DatasetSidecar> sidecar;
    std::set<std::string> names;
    bool is_whole = false;  // the folder itself was named
};

Result<std::map<std::string, PreparedFolder>> prepared_folders(
    fs::FileSystem& file_system, const std::vector<ShardFile>& files) {
    std::map<std::string, PreparedFolder> folders;
    for (const ShardFile& file : files) {
        const std::string path = fs::parent_of(file.path);
        const auto [place, is_new] = folders.try_emplace(path);
        place->second.names.insert(fs::name_of(file.path));
        place->second.is_whole = place->second.is_whole || file.from_folder;
        if (!is_new) {
            continue;
        }
        Result<DatasetSidecar> sidecar = read_sidecar(file_system, path);
        if (sidecar.ok()) {
            place->second.sidecar = std::move(sidecar).value();
        } else if (sidecar.error().kind != ErrorKind::kNotFound) {
            return sidecar.error();
        }
    }
    return folders;
}

const DatasetSplit& split_of(const DatasetSidecar& sidecar, Split split) {
    return split == Split::kTrain ? sidecar.train : sidecar.val;
}

// A shard may be named by file for another purpose than it was prepared for, so both splits are
// looked through.
const ShardSummary* find_summary(const DatasetSidecar& sidecar, std::string_view name) {
    for (const DatasetSplit* split : {&sidecar.train, &sidecar.val}) {
        for (const ShardSummary& shard : split->shards) {
            if (shard.name == name) {
                return &shard;
            }
        }
    }
    return nullptr;
}

TokenizerNote note_of(const DatasetSidecar& sidecar) {
    return TokenizerNote{sidecar.tokenizer,
                         sidecar.tokenizer_fingerprint,
                         std::int64_t{sidecar.vocab_size},
                         static_cast<std::int32_t>(sidecar.end_of_text)};
}

Status check_folder_complete(const std::string& path, const PreparedFolder& folder, Split split) {
    if (!folder.sidecar.has_value() || !folder.is_whole) {
        return Status{};
    }
    for (const ShardSummary& shard : split_of(*folder.sidecar, split).shards) {
        if (!folder.names.contains(shard.name)) {
            return Error{ErrorKind::kCorrupt,
                         fmt::format("{} lacks the shard {}, which its {} lists: prepare or copy "
                                     "the folder again",
                                     path,
                                     shard.name,
                                     kSidecarName),
                         0};
        }
    }
    return Status{};
}

Status check_same_tokenizer(const std::map<std::string, PreparedFolder>& folders) {
    const std::string* first_path = nullptr;
    TokenizerNote first;
    for (const auto& [path, folder] : folders) {
        if (!folder.sidecar.has_value()) {
            continue;
        }
        const TokenizerNote note = note_of(*folder.sidecar);
        if (first_path == nullptr) {
            first_path = &path;
            first = note;
        } else if (note != first) {
            return Error{ErrorKind::kInvalid,
                         fmt::format("{} was prepared with tokenizer {} ({} tokens), {} with {} "
                                     "({} tokens): one run has one tokenizer, prepare one of them "
                                     "again",
                                     *first_path,
                                     first.tokenizer,
                                     first.vocab_size,
                                     path,
                                     note.tokenizer,
                                     note.vocab_size),
                         0};
        }
    }
    return Status{};
}

// The text bytes of all folders, if the set is whole splits and nothing else.
std::optional<std::int64_t> text_bytes_of(const std::map<std::string, PreparedFolder>& folders,
                                          Split split) {
    std::int64_t bytes = 0;
    for (const auto& [path, folder] : folders) {
        if (!folder.sidecar.has_value()) {
            return std::nullopt;
        }
        std::set<std::string> listed;
        for (const ShardSummary& shard : split_of(*folder.sidecar, split).shards) {
            listed.insert(shard.name);
        }
        if (listed != folder.names) {
            return std::nullopt;
        }
        bytes += static_cast<std::int64_t>(split_of(*folder.sidecar, split).text_bytes);
    }
    return bytes;
}

// What the sidecar beside `shard` says of it, after checking that it says the truth; nullptr when
// there is no sidecar.
Result<const ShardSummary*> summary_beside(const TokenShard& shard,
                                           const std::optional<DatasetSidecar>& sidecar) {
    if (!sidecar.has_value()) {
        return static_cast<const ShardSummary*>(nullptr);
    }
    const ShardSummary* summary = find_summary(*sidecar, fs::name_of(shard.path()));
    if (summary == nullptr) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} is not listed in the {} beside it: move the shard to a folder "
                                 "of its own, or prepare the folder again",
                                 shard.path(),
                                 kSidecarName),
                     0};
    }
    if (summary->tokens != static_cast<std::uint64_t>(shard.token_count()) ||
        summary->bytes != shard.file_bytes()) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} has {} tokens in {} bytes, the {} beside it says {} in {}: "
                                 "prepare or copy the folder again",
                                 shard.path(),
                                 shard.token_count(),
                                 shard.file_bytes(),
                                 kSidecarName,
                                 summary->tokens,
                                 summary->bytes),
                     0};
    }
    return summary;
}

}  // namespace

Result<TokenSet> TokenSet::open(fs::FileSystem& file_system,
                                const std::vector<std::string>& sources,
                                Split split) {
    const Result<std::vector<ShardFile>> files = find_shard_files(file_system, sources, split);
    if (!files.ok()) {
        return files.error();
    }
    const auto folders = prepared_folders(file_system, files.value());
    if (!folders.ok()) {
        return folders.error();
    }
    for (const auto& [path, folder] : folders.value()) {
        const Status complete = check_folder_complete(path, folder, split);
        if (!complete.ok()) {
            return complete.error();
        }
    }
    const Status same = check_same_tokenizer(folders.value());
    if (!same.ok()) {
        return same.error();
    }
    TokenSet set(split);
    bool all_described = true;
    for (const ShardFile& file : files.value()) {
        Result<TokenShard> shard = TokenShard::open(file_system, file.path);
        if (!shard.ok()) {
            return shard.error();
        }
        const auto& sidecar = folders.value().at(fs::parent_of(file.path)).sidecar;
        const Result<const ShardSummary*> summary = summary_beside(shard.value(), sidecar);
        if (!summary.ok()) {
            return summary.error();
        }
        all_described = all_described && sidecar.has_value();
        set.add(
            std::move(shard).value(),
            summary.value() == nullptr ? std::nullopt : std::optional(summary.value()->checksum));
    }
    if (all_described) {
        set.tokenizer_ = note_of(*folders.value().begin()->second.sidecar);
        set.text_bytes_ = text_bytes_of(folders.value(), split);
    }
    set.take_fingerprint();
    return set;
}

void TokenSet::add(TokenShard shard, std::optional<std::uint64_t> file_checksum) {
    shards_.push_back(std::move(shard));
    file_checksums_.push_back(file_checksum);
}

void TokenSet::take_fingerprint() {
    std::vector<std::uint64_t> checksums;
    checksums.reserve(shards_.size());
    for (const TokenShard& shard : shards_) {
        checksums.push_back(shard.sampled_checksum());
    }
    fingerprint_ = base::checksum64(std::as_bytes(std::span(checksums)));
}

std::int64_t TokenSet::token_count() const {
    std::int64_t count = 0;
    for (const TokenShard& shard : shards_) {
        count += shard.token_count();
    }
    return count;
}

Status TokenSet::check_tokens(std::int64_t vocab_size) const {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        Status checked = shards_[i].check_tokens(vocab_size, file_checksums_[i]);
        if (!checked.ok()) {
            return checked;
        }
    }
    return Status{};
}

std::string TokenSet::in_words() const {
    std::string formats;
    for (const ShardFormat format :
         {ShardFormat::kLlmcUint16, ShardFormat::kLlmcUint32, ShardFormat::kRawUint16}) {
        const bool is_used = std::any_of(shards_.begin(), shards_.end(), [&](const TokenShard& s) {
            return s.format() == format;
        });
        if (is_used) {
            formats += (formats.empty() ? "" : " and ") + std::string(to_string(format));
        }
    }
    return fmt::format("{} {}, {} tokens, {}{}",
                       shards_.size(),
                       shards_.size() == 1 ? "shard" : "shards",
                       base::count_in_words(static_cast<double>(token_count())),
                       formats,
                       tokenizer_.has_value() ? ", tokenizer " + tokenizer_->tokenizer : "");
}

}  // namespace holdfast::data
