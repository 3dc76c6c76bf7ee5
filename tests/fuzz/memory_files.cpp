#include "fuzz/memory_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace holdfast::fuzz {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

Error refused() {
    return Error{ErrorKind::kInvalid, "files in memory are for reading only", EROFS};
}

Error not_found(const std::string& path) {
    return base::error_from_errno("open", path, ENOENT);
}

// An exact copy on the heap: std::string would keep room behind its end.
class ExactBytes {
public:
    explicit ExactBytes(const std::string& text)
        : bytes_(new std::byte[text.size()]), size_(text.size()) {
        std::copy_n(text.data(), text.size(), reinterpret_cast<char*>(bytes_.get()));
    }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }

private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_;
};

class MemoryMapping final : public fs::Mapping {
public:
    explicit MemoryMapping(const std::string& text) : bytes_(text) {}
    [[nodiscard]] std::span<const std::byte> bytes() const override { return bytes_.bytes(); }

private:
    ExactBytes bytes_;
};

// One inode a file, counted from 1 in the order of the paths.
fs::FileStatus status_of(const std::map<std::string, std::string>& files, const std::string& path) {
    const auto found = files.find(path);
    fs::FileStatus status;
    status.type = fs::EntryType::kFile;
    status.bytes = found->second.size();
    status.allocated_bytes = status.bytes;
    status.inode = static_cast<std::uint64_t>(std::distance(files.begin(), found)) + 1;
    status.link_count = 1;
    status.mode = 0444;
    return status;
}

class MemoryFile final : public fs::File {
public:
    MemoryFile(const std::string& text, fs::FileStatus status) : text_(text), status_(status) {}

    Result<std::size_t> read_at(std::span<std::byte> buffer, std::uint64_t offset) override {
        if (offset >= text_.size()) {
            return std::size_t{0};
        }
        const std::size_t bytes = std::min<std::size_t>(buffer.size(), text_.size() - offset);
        std::memcpy(buffer.data(), text_.data() + offset, bytes);
        return bytes;
    }
    Result<fs::FileStatus> status() override { return status_; }
    Status drop_cache() override { return {}; }
    Status close() override { return {}; }
    [[nodiscard]] int descriptor() const override { return -1; }

    Result<std::size_t> write_at(std::span<const std::byte> /*bytes*/,
                                 std::uint64_t /*offset*/) override {
        return refused();
    }
    Result<std::size_t> append(std::span<const std::byte> /*bytes*/) override { return refused(); }
    Status sync() override { return refused(); }
    Status truncate(std::uint64_t /*bytes*/) override { return refused(); }
    Status reserve(std::uint64_t /*bytes*/) override { return refused(); }
    Status set_permissions(std::uint32_t /*mode*/) override { return refused(); }
    Status lock_exclusive() override { return refused(); }

private:
    const std::string& text_;
    fs::FileStatus status_;
};

}  // namespace

Result<std::unique_ptr<fs::File>> MemoryFiles::open(const std::string& path,
                                                    const fs::OpenOptions& options) {
    if (options.mode != fs::OpenMode::kRead || options.direct) {
        return refused();
    }
    const auto found = files_.find(path);
    if (found == files_.end()) {
        return not_found(path);
    }
    return std::unique_ptr<fs::File>(
        std::make_unique<MemoryFile>(found->second, status_of(files_, path)));
}

Result<std::unique_ptr<fs::Mapping>> MemoryFiles::map(const std::string& path) {
    const auto found = files_.find(path);
    if (found == files_.end()) {
        return not_found(path);
    }
    return std::unique_ptr<fs::Mapping>(std::make_unique<MemoryMapping>(found->second));
}

Result<std::vector<std::string>> MemoryFiles::list(const std::string& path) {
    const std::string prefix = path == "." ? "" : path + '/';
    std::set<std::string> names;
    for (const auto& [name, text] : files_) {
        if (name.starts_with(prefix) && name.size() > prefix.size()) {
            names.insert(name.substr(prefix.size(), name.find('/', prefix.size()) - prefix.size()));
        }
    }
    if (names.empty()) {
        return not_found(path);
    }
    return std::vector<std::string>(names.begin(), names.end());
}

Result<fs::FileStatus> MemoryFiles::status(const std::string& path) {
    if (files_.contains(path)) {
        return status_of(files_, path);
    }
    if (!list(path).ok()) {
        return not_found(path);
    }
    fs::FileStatus status;
    status.type = fs::EntryType::kDirectory;
    return status;
}

Result<fs::SpaceStatus> MemoryFiles::space(const std::string& /*path*/) {
    return refused();
}
Result<std::string> MemoryFiles::read_symlink(const std::string& /*link*/) {
    return refused();
}
Status MemoryFiles::make_directory(const std::string& /*path*/) {
    return refused();
}
Status MemoryFiles::remove_directory(const std::string& /*path*/) {
    return refused();
}
Status MemoryFiles::remove_file(const std::string& /*path*/) {
    return refused();
}
Status MemoryFiles::rename(const std::string& /*from*/,
                           const std::string& /*to*/,
                           fs::RenameMode /*mode*/) {
    return refused();
}
Status MemoryFiles::hard_link(const std::string& /*existing*/, const std::string& /*link*/) {
    return refused();
}
Status MemoryFiles::make_symlink(const std::string& /*target*/, const std::string& /*link*/) {
    return refused();
}
Status MemoryFiles::sync_directory(const std::string& /*path*/) {
    return refused();
}

}  // namespace holdfast::fuzz
