#include "checkpoint/entry_verifier.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <utility>

#include "checkpoint/reader.h"
#include "checkpoint/store_usage.h"

namespace holdfast::checkpoint {

using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kEntriesAtOnceMax = 16;
// Of the 1024 that are usual. An entry that is read has each of its files open three times, and
// there is a file for each rank that wrote it.
constexpr std::size_t kDescriptorsMax = 768;
constexpr std::size_t kDescriptorsOfAFile = 3;

using FileIds = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // device, inode

// Indices of entries that are the same files.
using Group = std::vector<std::size_t>;

FileIds file_ids_of(fs::FileSystem& file_system, const Entry& entry) {
    const Result<std::vector<StoredFile>> files = files_under(file_system, entry.path);
    FileIds ids;
    for (const StoredFile& file : files.ok() ? files.value() : std::vector<StoredFile>{}) {
        ids.emplace_back(file.device, file.inode);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::vector<Group> groups_of(fs::FileSystem& file_system, std::span<const Entry> entries) {
    std::vector<Group> groups;
    std::map<FileIds, std::size_t> group_by_files;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const FileIds ids = file_ids_of(file_system, entries[i]);
        // Nothing there is not the same as nothing elsewhere.
        const auto known = ids.empty() ? group_by_files.end() : group_by_files.find(ids);
        if (known != group_by_files.end()) {
            groups[known->second].push_back(i);
            continue;
        }
        if (!ids.empty()) {
            group_by_files.emplace(ids, groups.size());
        }
        groups.push_back({i});
    }
    return groups;
}

Verification answer_of(fs::FileSystem& file_system, const Entry& entry, const base::Error& error) {
    Verification answer;
    const Result<fs::FileStatus> there = file_system.status(entry.path);
    if (error.kind == ErrorKind::kNotFound ||
        (!there.ok() && there.error().kind == ErrorKind::kNotFound)) {
        answer.verdict = Verdict::kRotatedAway;
        answer.why = "rotated away meanwhile";
        return answer;
    }
    answer.verdict = error.kind == ErrorKind::kCorrupt ? Verdict::kDamaged : Verdict::kUnreadable;
    answer.why = error.what;
    return answer;
}

Verification verify_one(fs::FileSystem& file_system,
                        const Entry& entry,
                        int thread_count,
                        const std::function<void(std::uint64_t)>& on_bytes) {
    Result<Reader> reader = Reader::open(file_system, entry.path);
    if (!reader.ok()) {
        return answer_of(file_system, entry, reader.error());
    }
    std::atomic<std::uint64_t> bytes{0};
    const Status status = reader.value().verify(thread_count, [&](std::uint64_t more) {
        bytes += more;
        if (on_bytes) {
            on_bytes(more);
        }
    });
    Verification verification =
        status.ok() ? Verification{} : answer_of(file_system, entry, status.error());
    verification.bytes_read = bytes;
    return verification;
}

// The first name that is still there is read for all.
void verify_group(fs::FileSystem& file_system,
                  std::span<const Entry> entries,
                  const Group& group,
                  int thread_count,
                  const std::function<void(std::uint64_t)>& on_bytes,
                  std::vector<Verification>& verifications) {
    std::optional<std::size_t> read;
    for (const std::size_t i : group) {
        if (read) {
            const Verification& same = verifications[*read];
            verifications[i] = {
                .verdict = same.verdict, .why = same.why, .same_files_as = read, .bytes_read = 0};
            continue;
        }
        verifications[i] = verify_one(file_system, entries[i], thread_count, on_bytes);
        if (verifications[i].verdict != Verdict::kRotatedAway) {
            read = i;
        }
    }
}

std::size_t entries_at_once(std::span<const Entry> entries) {
    std::size_t files = 1;
    for (const Entry& entry : entries) {
        files = std::max(files, entry.manifest.files.size());
    }
    return std::clamp<std::size_t>(
        kDescriptorsMax / (kDescriptorsOfAFile * files), 1, kEntriesAtOnceMax);
}

}  // namespace

std::vector<Verification> verify_entries(fs::FileSystem& file_system,
                                         std::span<const Entry> entries,
                                         const VerifyOptions& options) {
    const std::vector<Group> groups = groups_of(file_system, entries);
    std::vector<Verification> verifications(entries.size());
    std::atomic<std::size_t> next{0};
    const auto threads = static_cast<std::size_t>(std::max(options.thread_count, 1));
    const std::size_t at_once_max = entries_at_once(entries);
    const auto work = [&] {
        for (std::size_t i = next++; i < groups.size(); i = next++) {
            // The last ones share the threads that have run out of entries.
            const std::size_t left = groups.size() - i;
            const std::size_t at_once = std::min({threads, left, at_once_max});
            verify_group(file_system,
                         entries,
                         groups[i],
                         static_cast<int>((threads + at_once - 1) / at_once),
                         options.on_bytes,
                         verifications);
        }
    };
    {
        std::vector<std::jthread> workers;
        const std::size_t count = std::min({threads, groups.size(), at_once_max});
        for (std::size_t i = 1; i < count; ++i) {
            workers.emplace_back(work);
        }
        work();
    }
    return verifications;
}

std::uint64_t bytes_to_verify(fs::FileSystem& file_system, std::span<const Entry> entries) {
    std::uint64_t bytes = 0;
    for (const Group& group : groups_of(file_system, entries)) {
        bytes += entries[group.front()].bytes;
    }
    return bytes;
}

}  // namespace holdfast::checkpoint
