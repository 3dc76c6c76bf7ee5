// What lies on a simulated disk at one instant: inodes and the names that lead to them. A plain
// value: a copy is a disk of its own. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "fs/file_system.h"

namespace holdfast::fs {

using InodeNumber = std::uint64_t;
inline constexpr InodeNumber kNoInode = 0;
inline constexpr InodeNumber kRootInode = 1;

struct DiskInode {
    EntryType type = EntryType::kFile;
    std::uint32_t mode = 0;
    std::string bytes;                           // of a file; the target of a symlink
    std::map<std::string, InodeNumber> entries;  // of a directory
    std::uint64_t name_count = 0;  // entries that lead to it: DiskImage::count_names()
    // Of `bytes` as digest() takes them; whoever changes `bytes` clears it.
    mutable std::optional<std::uint64_t> bytes_digest;

    void set_bytes(std::string changed) {
        bytes = std::move(changed);
        bytes_digest.reset();
    }
};

// What digest() takes for the bytes of a file.
std::uint64_t digest_of_bytes(std::string_view bytes);

class DiskImage {
public:
    DiskImage();

    // Adds an inode that has no name yet.
    InodeNumber add(EntryType type, std::uint32_t mode, std::string bytes = {});
    // The same with the number that another image gave it.
    void add_as(InodeNumber number, EntryType type, std::uint32_t mode, std::string bytes);
    // Null when there is none.
    [[nodiscard]] DiskInode* find(InodeNumber number);
    [[nodiscard]] const DiskInode* find(InodeNumber number) const;
    [[nodiscard]] const std::map<InodeNumber, DiskInode>& inodes() const { return inodes_; }
    void erase(InodeNumber number) { inodes_.erase(number); }
    void keep_only(const std::set<InodeNumber>& numbers);

    // Sets every name_count; who changes entries afterwards keeps it.
    void count_names();

    // What `path` names, symlinks not followed; kNoInode when nothing.
    [[nodiscard]] InodeNumber at(std::string_view path) const;

    // Over all that can be reached from the root: names, types, bytes. Two disks that differ only
    // in what a program draws at random are one: stretches of 16 or more hex digits count as "*",
    // in names and in files under 4 KiB (longer ones are tensors), and so do hex digits cut short
    // by a tear. The bytes of files called `lock` (host, process, time) do not enter.
    [[nodiscard]] std::uint64_t digest() const;
    // Paths with the length of the files, one line: for messages.
    [[nodiscard]] std::string tree() const;
    // Works out every bytes_digest, so that copies of this image need not.
    void digest_all_bytes() const;

private:
    void list_below(const std::string& path, InodeNumber number, std::string& out) const;
    [[nodiscard]] std::uint64_t digest_of(const std::string& name, InodeNumber number) const;

    std::map<InodeNumber, DiskInode> inodes_;
    InodeNumber next_ = kRootInode + 1;
};

}  // namespace holdfast::fs
