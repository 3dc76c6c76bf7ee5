#include "fs/disk_image.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/checksum.h"

namespace holdfast::fs {

namespace {

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kRandomDigits = 16;

bool is_hex_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

// `text` with what was drawn at random replaced by "*".
std::string without_random(std::string_view text, bool may_be_torn) {
    std::string result;
    for (std::size_t begin = 0; begin < text.size();) {
        if (!is_hex_digit(text[begin])) {
            result += text[begin++];
            continue;
        }
        std::size_t end = begin;
        while (end < text.size() && is_hex_digit(text[end])) {
            ++end;
        }
        const bool torn = may_be_torn && (end == text.size() || text[end] == '\0' ||
                                          (begin > 0 && text[begin - 1] == '\0'));
        if (torn || end - begin >= kRandomDigits) {
            result += '*';
        } else {
            result += text.substr(begin, end - begin);
        }
        begin = end;
    }
    return result;
}

std::uint64_t bytes_digest(const DiskInode& inode) {
    if (!inode.bytes_digest) {
        // A symlink is there whole or not at all: its last digits are no torn ones.
        inode.bytes_digest = inode.type == EntryType::kSymlink
                                 ? base::checksum64(without_random(inode.bytes, false))
                                 : digest_of_bytes(inode.bytes);
    }
    return *inode.bytes_digest;
}

}  // namespace

std::uint64_t digest_of_bytes(std::string_view bytes) {
    return bytes.size() < kTextBytesMax ? base::checksum64(without_random(bytes, true))
                                        : base::checksum64(bytes);
}

DiskImage::DiskImage() {
    add_as(kRootInode, EntryType::kDirectory, 0777, {});
}

InodeNumber DiskImage::add(EntryType type, std::uint32_t mode, std::string bytes) {
    const InodeNumber number = next_;
    add_as(number, type, mode, std::move(bytes));
    return number;
}

void DiskImage::add_as(InodeNumber number, EntryType type, std::uint32_t mode, std::string bytes) {
    inodes_[number] = DiskInode{.type = type,
                                .mode = mode,
                                .bytes = std::move(bytes),
                                .entries = {},
                                .name_count = 0,
                                .bytes_digest = {}};
    next_ = std::max(next_, number + 1);
}

DiskInode* DiskImage::find(InodeNumber number) {
    const auto found = inodes_.find(number);
    return found == inodes_.end() ? nullptr : &found->second;
}

const DiskInode* DiskImage::find(InodeNumber number) const {
    const auto found = inodes_.find(number);
    return found == inodes_.end() ? nullptr : &found->second;
}

void DiskImage::keep_only(const std::set<InodeNumber>& numbers) {
    std::erase_if(inodes_, [&](const auto& inode) { return !numbers.contains(inode.first); });
}

void DiskImage::count_names() {
    for (auto& [number, inode] : inodes_) {
        inode.name_count = 0;
    }
    for (const auto& [number, inode] : inodes_) {
        for (const auto& [name, child] : inode.entries) {
            ++find(child)->name_count;
        }
    }
}

InodeNumber DiskImage::at(std::string_view path) const {
    InodeNumber number = kRootInode;
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        const std::string name(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
        if (name.empty()) {
            continue;
        }
        const DiskInode* inode = find(number);
        const auto entry = inode->entries.find(name);
        if (entry == inode->entries.end()) {
            return kNoInode;
        }
        number = entry->second;
    }
    return number;
}

std::uint64_t DiskImage::digest_of(const std::string& name, InodeNumber number) const {
    const DiskInode& inode = *find(number);
    std::vector<std::uint64_t> parts{base::checksum64(without_random(name, false)),
                                     static_cast<std::uint64_t>(inode.type)};
    if (inode.type == EntryType::kDirectory) {
        for (const auto& [child_name, child] : inode.entries) {
            parts.push_back(digest_of(child_name, child));
        }
        // By value: names that were drawn at random have no order that means anything.
        std::sort(parts.begin() + 2, parts.end());
    } else if (name != "lock") {
        parts.push_back(bytes_digest(inode));
    }
    return base::checksum64(std::as_bytes(std::span(parts)));
}

std::uint64_t DiskImage::digest() const {
    return digest_of("", kRootInode);
}

void DiskImage::list_below(const std::string& path, InodeNumber number, std::string& out) const {
    for (const auto& [name, child] : find(number)->entries) {
        const DiskInode& inode = *find(child);
        out += ' ' + path + '/' + name;
        if (inode.type == EntryType::kFile) {
            out += ':' + std::to_string(inode.bytes.size());
        }
        list_below(path + '/' + name, child, out);
    }
}

std::string DiskImage::tree() const {
    std::string out;
    list_below("", kRootInode, out);
    return out;
}

void DiskImage::digest_all_bytes() const {
    for (const auto& [number, inode] : inodes_) {
        bytes_digest(inode);
    }
}

}  // namespace holdfast::fs
