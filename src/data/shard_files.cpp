#include "data/shard_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fnmatch.h>

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::string_view kSuffix = ".bin";

bool is_glob(std::string_view text) {
    return text.find_first_of("*?[") != std::string_view::npos;
}

// lstat, and once more through a symlink: a data folder is often a link to a bigger disk.
Result<fs::FileStatus> status_of(fs::FileSystem& file_system, const std::string& path) {
    const Result<fs::FileStatus> status = file_system.status(path);
    if (!status.ok() || status.value().type != fs::EntryType::kSymlink) {
        return status;
    }
    const Result<std::unique_ptr<fs::File>> file = file_system.open(path, fs::OpenOptions{});
    if (!file.ok()) {
        return file.error();
    }
    return file.value()->status();
}

// Whether the name of a .bin file says that it is of this split.
bool is_of_split(std::string_view name, Split split) {
    static constexpr std::array<std::string_view, 1> kTrainWords = {"train"};
    static constexpr std::array<std::string_view, 3> kValWords = {"val", "valid", "validation"};
    const std::span<const std::string_view> words =
        split == Split::kTrain ? std::span<const std::string_view>(kTrainWords)
                               : std::span<const std::string_view>(kValWords);
    if (!name.ends_with(kSuffix) || name.starts_with('.')) {
        return false;
    }
    while (!name.empty()) {
        const std::size_t end = std::min(name.find_first_of("_-."), name.size());
        if (std::find(words.begin(), words.end(), name.substr(0, end)) != words.end()) {
            return true;
        }
        name.remove_prefix(std::min(end + 1, name.size()));
    }
    return false;
}

std::string some_names(const std::vector<std::string>& names) {
    constexpr std::size_t kNamesMax = 5;
    std::string text;
    for (std::size_t i = 0; i < std::min(names.size(), kNamesMax); ++i) {
        text += (i == 0 ? "" : ", ") + names[i];
    }
    return names.size() > kNamesMax ? fmt::format("{} and {} more", text, names.size() - kNamesMax)
                                    : text;
}

Status add_folder(fs::FileSystem& file_system,
                  const std::string& folder,
                  Split split,
                  std::vector<ShardFile>& files) {
    const Result<std::vector<std::string>> names = file_system.list(folder);
    if (!names.ok()) {
        return names.error();
    }
    const std::size_t files_before = files.size();
    std::vector<std::string> others;
    for (const std::string& name : names.value()) {
        if (is_of_split(name, split)) {
            files.push_back(ShardFile{fs::join(folder, name), true});
        } else if (name.ends_with(kSuffix)) {
            others.push_back(name);
        }
    }
    if (files.size() > files_before) {
        return Status{};
    }
    return Error{ErrorKind::kInvalid,
                 fmt::format("{} has no {} shard: expected .bin files with the word \"{}\" in the "
                             "name, found {}; name the files themselves, or make shards with "
                             "`holdfast prepare`",
                             folder,
                             to_string(split),
                             to_string(split),
                             others.empty() ? "no .bin file" : some_names(others)),
                 0};
}

// One existing path: a file as it is, a folder as its shards.
Status add_path(fs::FileSystem& file_system,
                const std::string& path,
                Split split,
                std::vector<ShardFile>& files) {
    const Result<fs::FileStatus> status = status_of(file_system, path);
    if (!status.ok()) {
        return status.error();
    }
    if (status.value().type == fs::EntryType::kDirectory) {
        return add_folder(file_system, path, split, files);
    }
    files.push_back(ShardFile{path, false});
    return Status{};
}

// All existing paths that `pattern` matches, part by part. A folder that cannot be listed matches
// nothing, as in a shell.
std::vector<std::string> expand_glob(fs::FileSystem& file_system, const std::string& pattern) {
    std::vector<std::string> found = {pattern.starts_with('/') ? "/" : ""};
    std::string_view rest = pattern;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        const std::string part(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (part.empty()) {
            continue;
        }
        std::vector<std::string> next;
        for (const std::string& folder : found) {
            if (!is_glob(part)) {
                next.push_back(fs::join(folder, part));
                continue;
            }
            const Result<std::vector<std::string>> names =
                file_system.list(folder.empty() ? "." : folder);
            for (const std::string& name :
                 names.ok() ? names.value() : std::vector<std::string>{}) {
                if (::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0) {
                    next.push_back(fs::join(folder, name));
                }
            }
        }
        found = std::move(next);
    }
    std::erase_if(found, [&](const std::string& path) {
        return !file_system.status(path).ok();  // a part after the last glob may not exist
    });
    std::sort(found.begin(), found.end());
    return found;
}

Status add_source(fs::FileSystem& file_system,
                  const std::string& source,
                  Split split,
                  std::vector<ShardFile>& files) {
    const Result<bool> exists = fs::exists(file_system, source);
    if (!exists.ok()) {
        return exists.error();
    }
    if (exists.value()) {
        return add_path(file_system, source, split, files);
    }
    const std::vector<std::string> matches =
        is_glob(source) ? expand_glob(file_system, source) : std::vector<std::string>{};
    if (matches.empty()) {
        return Error{ErrorKind::kNotFound,
                     fmt::format("{} {}; give a token shard, a folder of them or a glob, or make "
                                 "shards with `holdfast prepare`",
                                 source,
                                 is_glob(source) ? "matches nothing" : "does not exist"),
                     0};
    }
    for (const std::string& match : matches) {
        Status added = add_path(file_system, match, split, files);
        if (!added.ok()) {
            return added;
        }
    }
    return Status{};
}

// Two names of one file, by whatever links, are one shard.
Status check_all_different(fs::FileSystem& file_system, const std::vector<ShardFile>& files) {
    std::map<std::pair<std::uint64_t, std::uint64_t>, const std::string*> seen;
    for (const ShardFile& file : files) {
        const Result<fs::FileStatus> status = status_of(file_system, file.path);
        if (!status.ok()) {
            return status.error();
        }
        const auto [place, is_new] =
            seen.emplace(std::pair(status.value().device, status.value().inode), &file.path);
        if (!is_new) {
            return Error{ErrorKind::kInvalid,
                         fmt::format("{} and {} are the same file; each shard may be named once, "
                                     "or it would be read twice an epoch",
                                     *place->second,
                                     file.path),
                         0};
        }
    }
    return Status{};
}

}  // namespace

std::string_view to_string(Split split) {
    return split == Split::kTrain ? "train" : "val";
}

Result<std::vector<ShardFile>> find_shard_files(fs::FileSystem& file_system,
                                                const std::vector<std::string>& sources,
                                                Split split) {
    if (sources.empty()) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("data.{} is empty; expected a token shard, a folder of them or a "
                                 "glob",
                                 to_string(split)),
                     0};
    }
    std::vector<ShardFile> files;
    for (const std::string& source : sources) {
        const Status added = add_source(file_system, source, split, files);
        if (!added.ok()) {
            return added.error().within(fmt::format("data.{}", to_string(split)));
        }
    }
    const Status different = check_all_different(file_system, files);
    if (!different.ok()) {
        return different.error().within(fmt::format("data.{}", to_string(split)));
    }
    return files;
}

Result<std::vector<NamedSources>> named_sources(const std::vector<std::string>& entries) {
    std::vector<NamedSources> sets;
    for (const std::string& entry : entries) {
        const std::size_t equals = entry.find('=');
        const bool is_named = equals != std::string::npos && equals > 0 &&
                              std::all_of(entry.begin(),
                                          entry.begin() + static_cast<std::ptrdiff_t>(equals),
                                          [](unsigned char c) {
                                              return (c >= 'a' && c <= 'z') ||
                                                     (c >= 'A' && c <= 'Z') ||
                                                     (c >= '0' && c <= '9') || c == '_' || c == '-';
                                          });
        const std::string name = is_named ? entry.substr(0, equals) : "";
        const std::string path = is_named ? entry.substr(equals + 1) : entry;
        if (path.empty()) {
            return Error{
                ErrorKind::kInvalid,
                fmt::format("data.val: \"{}\" has no path; expected PATH or NAME=PATH", entry),
                0};
        }
        auto set = std::find_if(
            sets.begin(), sets.end(), [&](const NamedSources& s) { return s.name == name; });
        if (set == sets.end()) {
            if (name.empty() && !sets.empty()) {
                return Error{ErrorKind::kInvalid,
                             fmt::format("data.val: \"{}\" has no name and comes after the set "
                                         "\"{}\"; put it first, or write NAME={}",
                                         path,
                                         sets.back().name,
                                         path),
                             0};
            }
            set = sets.insert(sets.end(), NamedSources{name, {}});
        }
        set->sources.push_back(path);
    }
    return sets;
}

}  // namespace holdfast::data
