// What lies on a simulated disk at one instant: inodes and the names that lead to them. A value: a
// copy is a disk of its own, which costs a pointer for each inode, for copies share what they do
// not change. One thread at a time, over all copies.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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
    [[nodiscard]] const DiskInode* find(InodeNumber number) const;
    // One that is there, to be changed; copies of this image keep what it was.
    [[nodiscard]] DiskInode& change(InodeNumber number);
    // Another one in the place of one that is there.
    void replace(InodeNumber number, std::shared_ptr<DiskInode> inode);
    void erase(InodeNumber number) { inodes_.at(number).reset(); }
    void keep_only(const std::set<InodeNumber>& numbers);

    // How many names lead to each inode, by its number.
    [[nodiscard]] std::vector<std::uint64_t> name_counts() const;

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

    std::vector<std::shared_ptr<DiskInode>> inodes_;  // by number
};

}  // namespace holdfast::fs
