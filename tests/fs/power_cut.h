// What a power cut may leave of a sequence of operations: the durable layer of a simulated disk.
//
// The model is the weakest that the journalling file systems of Linux keep to.
// - Bytes of a file become durable when the file is synced. Before, each 512 bytes to 4 KiB of a
//   write, and each length the file has had, may be there or not; what is not reads as before, or
//   as zeros.
// - A name (made, linked, removed, renamed) becomes durable when its directory is synced; syncing a
//   file does not make its name durable. Before, each may be there or not, in any order, also of
//   different directories, and whatever became of the bytes.
// - A rename is atomic: the old name or the new one, never both, never neither. It becomes durable
//   when the directory of the *new* name is synced; syncing the other one alone promises nothing.
//   RenameModel::kTwoNames is weaker still, for file systems that write the two directories apart:
//   until the old directory is synced too, both names may be there.
// - A change of a name that a rename made does not outlive the loss of that rename.
// - What nothing leads to any more is gone.
//
// for_each_state() visits every combination where there are few, else: nothing kept, all kept, each
// change alone, all but each, pairs of both kinds, and combinations drawn at random from a seed.
// Values; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fs/disk_image.h"
#include "fs/simulated_file_system.h"

namespace holdfast::fs {

enum class RenameModel { kAtomic, kTwoNames };

struct CutBounds {
    std::uint64_t exhaustive_max = 64;  // combinations, up to which all are visited
    std::uint64_t pairs_max = 32;       // of each kind
    std::uint64_t samples = 16;         // drawn at random
};

class PowerCut {
public:
    // All of `durable` is on the disk.
    explicit PowerCut(DiskImage durable, RenameModel rename_model = RenameModel::kAtomic);

    // The next operation was carried out.
    void apply(const DiskOperation& operation);

    // Calls `visit` with disks that a cut at this instant may leave, some more than once, until it
    // answers false. Answers false when it did.
    bool for_each_state(const CutBounds& bounds,
                        std::uint64_t seed,
                        const std::function<bool(const DiskImage&)>& visit) const;

private:
    struct Name {
        InodeNumber directory = kNoInode;
        std::string name;
        bool operator==(const Name&) const = default;
    };
    struct NameChange {
        std::uint64_t serial = 0;
        InodeNumber inode = kNoInode;
        std::optional<Name> added;
        std::optional<Name> removed;
        bool is_rename = false;
        std::vector<std::uint64_t> needs;  // serials that are kept whenever this one is
    };
    // A version of a file's bytes that may be found.
    using Version = std::shared_ptr<DiskInode>;
    struct FileItem {
        InodeNumber inode = kNoInode;
        std::vector<Version> versions;  // 0: lost, 1: kept, then torn ones
        std::vector<std::uint64_t> lengths;
    };
    // One choice for each name change (0 or 1), then one for each file.
    using Choices = std::vector<std::size_t>;
    class Enumeration;

    void add_change(NameChange change);
    void rename(const DiskOperation& operation);
    void sync_file(InodeNumber inode);
    void sync_directory(InodeNumber directory);
    void forget_unreachable();
    [[nodiscard]] std::set<std::uint64_t> with_needs(const std::set<std::uint64_t>& serials) const;
    static void carry_out(const NameChange& change, DiskImage& image);
    [[nodiscard]] std::vector<std::string> contents_after(
        InodeNumber inode, const std::vector<DiskOperation>& writes) const;
    [[nodiscard]] std::vector<FileItem> file_items() const;
    [[nodiscard]] DiskImage state(const Choices& choices, const std::vector<FileItem>& files) const;

    DiskImage durable_;
    RenameModel rename_model_;
    std::uint64_t next_serial_ = 1;
    std::vector<NameChange> changes_;                         // pending, in order
    std::map<InodeNumber, std::vector<DiskOperation>> data_;  // pending, in order
};

}  // namespace holdfast::fs
