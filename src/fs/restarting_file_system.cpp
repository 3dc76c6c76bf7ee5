#include "fs/restarting_file_system.h"

#include <cerrno>
#include <utility>

namespace holdfast::fs {

using base::Result;
using base::Status;

namespace {

template <typename Call>
auto uninterrupted(Call call) {
    auto outcome = call();
    for (int i = 1; i < kInterruptionsMax && !outcome.ok() && outcome.error().os_errno == EINTR;
         ++i) {
        outcome = call();
    }
    return outcome;
}

class RestartingFile final : public File {
public:
    explicit RestartingFile(std::unique_ptr<File> inner) : inner_(std::move(inner)) {}

    Result<std::size_t> read_at(std::span<std::byte> buffer, std::uint64_t offset) override {
        return inner_->read_at(buffer, offset);
    }
    Result<std::size_t> write_at(std::span<const std::byte> bytes, std::uint64_t offset) override {
        return inner_->write_at(bytes, offset);
    }
    Result<std::size_t> append(std::span<const std::byte> bytes) override {
        return inner_->append(bytes);
    }
    Status sync() override { return inner_->sync(); }
    Status truncate(std::uint64_t bytes) override {
        return uninterrupted([&] { return inner_->truncate(bytes); });
    }
    Status reserve(std::uint64_t bytes) override {
        return uninterrupted([&] { return inner_->reserve(bytes); });
    }
    Status drop_cache() override {
        return uninterrupted([&] { return inner_->drop_cache(); });
    }
    Status set_permissions(std::uint32_t mode) override {
        return uninterrupted([&] { return inner_->set_permissions(mode); });
    }
    Result<FileStatus> status() override {
        return uninterrupted([&] { return inner_->status(); });
    }
    Status lock_exclusive() override {
        return uninterrupted([&] { return inner_->lock_exclusive(); });
    }
    Status close() override {
        Status closed = inner_->close();
        // The descriptor is gone all the same; to close it again could hit another's.
        return !closed.ok() && closed.error().os_errno == EINTR ? Status{} : closed;
    }
    [[nodiscard]] int descriptor() const override { return inner_->descriptor(); }

private:
    std::unique_ptr<File> inner_;
};

}  // namespace

Result<std::unique_ptr<File>> RestartingFileSystem::open(const std::string& path,
                                                         const OpenOptions& options) {
    Result<std::unique_ptr<File>> file = uninterrupted([&] { return inner_.open(path, options); });
    if (!file.ok()) {
        return file;
    }
    return std::unique_ptr<File>(std::make_unique<RestartingFile>(std::move(file).value()));
}

Result<std::unique_ptr<Mapping>> RestartingFileSystem::map(const std::string& path) {
    return uninterrupted([&] { return inner_.map(path); });
}

Status RestartingFileSystem::make_directory(const std::string& path) {
    return uninterrupted([&] { return inner_.make_directory(path); });
}

Status RestartingFileSystem::remove_directory(const std::string& path) {
    return uninterrupted([&] { return inner_.remove_directory(path); });
}

Status RestartingFileSystem::remove_file(const std::string& path) {
    return uninterrupted([&] { return inner_.remove_file(path); });
}

Status RestartingFileSystem::rename(const std::string& from,
                                    const std::string& to,
                                    RenameMode mode) {
    return uninterrupted([&] { return inner_.rename(from, to, mode); });
}

Status RestartingFileSystem::hard_link(const std::string& existing, const std::string& link) {
    return uninterrupted([&] { return inner_.hard_link(existing, link); });
}

Status RestartingFileSystem::make_symlink(const std::string& target, const std::string& link) {
    return uninterrupted([&] { return inner_.make_symlink(target, link); });
}

Result<std::string> RestartingFileSystem::read_symlink(const std::string& link) {
    return uninterrupted([&] { return inner_.read_symlink(link); });
}

Status RestartingFileSystem::sync_directory(const std::string& path) {
    return uninterrupted([&] { return inner_.sync_directory(path); });
}

Result<std::vector<std::string>> RestartingFileSystem::list(const std::string& path) {
    return uninterrupted([&] { return inner_.list(path); });
}

Result<FileStatus> RestartingFileSystem::status(const std::string& path) {
    return uninterrupted([&] { return inner_.status(path); });
}

Result<SpaceStatus> RestartingFileSystem::space(const std::string& path) {
    return uninterrupted([&] { return inner_.space(path); });
}

}  // namespace holdfast::fs
