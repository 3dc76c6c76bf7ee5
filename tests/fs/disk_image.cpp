#include "fs/disk_image.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

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

// Names repeat in every disk that is looked at, so each is worked out once.
std::uint64_t name_digest(const std::string& name) {
    thread_local std::unordered_map<std::string, std::uint64_t> known;
    const auto found = known.find(name);
    if (found != known.end()) {
        return found->second;
    }
    return known.emplace(name, base::checksum64(without_random(name, false))).first->second;
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
    const InodeNumber number = inodes_.size();
    add_as(number, type, mode, std::move(bytes));
    return number;
}

void DiskImage::add_as(InodeNumber number, EntryType type, std::uint32_t mode, std::string bytes) {
    inodes_.resize(std::max<std::size_t>(inodes_.size(), number + 1));
    inodes_[number] = std::make_shared<DiskInode>(DiskInode{
        .type = type, .mode = mode, .bytes = std::move(bytes), .entries = {}, .bytes_digest = {}});
}

const DiskInode* DiskImage::find(InodeNumber number) const {
    return number < inodes_.size() ? inodes_[number].get() : nullptr;
}

DiskInode& DiskImage::change(InodeNumber number) {
    std::shared_ptr<DiskInode>& inode = inodes_.at(number);
    if (inode.use_count() > 1) {
        inode = std::make_shared<DiskInode>(*inode);
    }
    return *inode;
}

void DiskImage::replace(InodeNumber number, std::shared_ptr<DiskInode> inode) {
    inodes_.at(number) = std::move(inode);
}

void DiskImage::keep_only(const std::set<InodeNumber>& numbers) {
    for (InodeNumber number = 0; number < inodes_.size(); ++number) {
        if (!numbers.contains(number)) {
            inodes_[number].reset();
        }
    }
}

std::vector<std::uint64_t> DiskImage::name_counts() const {
    std::vector<std::uint64_t> counts(inodes_.size(), 0);
    for (const auto& inode : inodes_) {
        if (inode == nullptr) {
            continue;
        }
        for (const auto& [name, child] : inode->entries) {
            ++counts.at(child);
        }
    }
    return counts;
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
    std::vector<std::uint64_t> parts{name_digest(name), static_cast<std::uint64_t>(inode.type)};
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
    for (const auto& inode : inodes_) {
        if (inode != nullptr) {
            bytes_digest(*inode);
        }
    }
}

}  // namespace holdfast::fs
