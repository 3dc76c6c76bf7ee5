// Which files a data setting means. The input is lines: the names of files in the folder "data",
// then, after an empty line, the sources.
#include <algorithm>
#include <set>

#include "data/shard_files.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/memory_files.h"

namespace holdfast::fuzz {

using data::Split;

namespace {

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

bool check_found(MemoryFiles& files, const std::vector<std::string>& sources, Split split) {
    const auto found = data::find_shard_files(files, sources, split);
    if (!found.ok()) {
        require_one_line(found.error());
        return false;
    }
    require(!found.value().empty(), "there is a shard");
    std::set<std::uint64_t> inodes;
    for (const data::ShardFile& file : found.value()) {
        const auto status = files.status(file.path);
        require(status.ok() && status.value().type == fs::EntryType::kFile, "a shard is a file");
        require(inodes.insert(status.value().inode).second, "no file is there twice");
    }
    return true;
}

bool check_sets(const std::vector<std::string>& entries) {
    const auto sets = data::named_sources(entries);
    if (!sets.ok()) {
        require_one_line(sets.error());
        return false;
    }
    std::set<std::string> names;
    std::size_t sources = 0;
    for (const data::NamedSources& set : sets.value()) {
        require(names.insert(set.name).second && !set.sources.empty(), "a set is there once");
        require(set.name.empty() ? &set == &sets.value().front() : true,
                "only the first set has no name");
        sources += set.sources.size();
    }
    require(sources == entries.size(), "each entry is in one set");
    return sources > 0;
}

}  // namespace

bool check_shard_files(std::string_view input) {
    constexpr std::size_t kLinesMax = 64;
    constexpr std::size_t kLineBytesMax = 255;
    std::vector<std::string> lines = lines_of(input);
    lines.resize(std::min(lines.size(), kLinesMax));
    for (std::string& line : lines) {
        line.resize(std::min(line.size(), kLineBytesMax));
        // A path stands in a message as the user wrote it.
        std::replace_if(
            line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '_');
    }
    const auto middle = std::find(lines.begin(), lines.end(), "");
    std::map<std::string, std::string> contents;
    for (auto line = lines.begin(); line != middle; ++line) {
        std::replace(line->begin(), line->end(), '/', '_');
        contents["data/" + *line] = "x";
    }
    MemoryFiles files(std::move(contents));
    const std::vector<std::string> sources(middle == lines.end() ? middle : middle + 1,
                                           lines.end());
    const bool are_sets = check_sets(sources);
    const bool are_found = check_found(files, sources, Split::kTrain);
    return check_found(files, sources, Split::kVal) || are_found || are_sets;
}

std::vector<std::string> shard_files_seeds() {
    return {"train.bin\nx_val_000000.bin\n\ndata\n",
            "a_train_000000.bin\na_train_000001.bin\nREADME\n\ndata/a_train_*.bin\n",
            "a.bin\nb.bin\n\ndata/[a].bin\ndata/[!a].bin\n",
            "valid.bin\n\nval=data/valid.bin\n"
            "wiki=data\n",
            "valid.bin\n\ndata/valid.bin\n"};
}

}  // namespace holdfast::fuzz
