// Which files a data setting means: files, folders and globs to a list of token shards in a fixed
// order.
//
//   file     taken as it is, whatever its name
//   folder   its files NAME.bin whose name has the word of the split between '_', '-' and '.':
//            "train" for training; "val", "valid" or "validation" for validation. So train.bin,
//            train_000000.bin, fineweb_train_000001.bin, tiny_shakespeare_val.bin. Not recursive.
//   glob     *, ?, [...] in any part of the path (POSIX fnmatch; a leading '.' must be written);
//            each match is then a file or a folder. A path that exists as written is no glob.
//
// Order: sources as given; within a folder or glob by the bytes of the path. The order is part of
// what a run is: it decides which window has which number.
//
// Blocking: lists directories.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::data {

enum class Split { kTrain, kVal };

// "train" or "val".
std::string_view to_string(Split split);

struct ShardFile {
    std::string path;
    bool from_folder = false;  // found by naming its folder, not by name or glob of its own
};

// All shards of `sources`, at least one. kInvalid when `sources` is empty, one of them matches
// nothing of this split (the line names the .bin files that were there), or one file is reached
// twice (it would be trained on twice an epoch); kNotFound when a path does not exist.
base::Result<std::vector<ShardFile>> find_shard_files(fs::FileSystem& file_system,
                                                      const std::vector<std::string>& sources,
                                                      Split split);

// One validation set of the setting data.val.
struct NamedSources {
    std::string name;  // "" when the entries have none
    std::vector<std::string> sources;
};

// The sets in data.val, in order of first appearance: `name=path` puts a path into the set of that
// name (letters, digits, '_', '-'), all other entries together are one set without a name. The
// first set is val_loss. kInvalid when a later set has no name, or a path is empty.
base::Result<std::vector<NamedSources>> named_sources(const std::vector<std::string>& entries);

}  // namespace holdfast::data
