// The real file system, whose writes or fsyncs fail while a switch is on.
#pragma once

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "fs/real_file_system.h"

namespace holdfast::telemetry {

struct Failures {
    bool writes = false;           // write_at says ENOSPC
    std::size_t bytes_before = 0;  // of the first failing write, this many still get through
    bool syncs = false;            // sync says EIO
};

class FailingFile : public fs::File {
public:
    FailingFile(std::unique_ptr<fs::File> file, Failures& failures)
        : file_(std::move(file)), failures_(failures) {}

    base::Result<std::size_t> read_at(std::span<std::byte> buffer, std::uint64_t offset) override {
        return file_->read_at(buffer, offset);
    }
    base::Result<std::size_t> write_at(std::span<const std::byte> bytes,
                                       std::uint64_t offset) override {
        if (failures_.writes) {
            const std::size_t some =
                std::min(std::exchange(failures_.bytes_before, 0), bytes.size());
            if (some == 0) {
                return base::error_from_errno("write", "metrics.jsonl", ENOSPC);
            }
            return file_->write_at(bytes.first(some), offset);
        }
        return file_->write_at(bytes, offset);
    }
    base::Result<std::size_t> append(std::span<const std::byte> bytes) override {
        return file_->append(bytes);
    }
    base::Status sync() override {
        return failures_.syncs ? base::Status(base::error_from_errno("fsync", "metrics.jsonl", EIO))
                               : file_->sync();
    }
    base::Status truncate(std::uint64_t bytes) override { return file_->truncate(bytes); }
    base::Status reserve(std::uint64_t bytes) override { return file_->reserve(bytes); }
    base::Status drop_cache() override { return file_->drop_cache(); }
    base::Status set_permissions(std::uint32_t mode) override {
        return file_->set_permissions(mode);
    }
    base::Result<fs::FileStatus> status() override { return file_->status(); }
    base::Status lock_exclusive() override { return file_->lock_exclusive(); }
    base::Status close() override { return file_->close(); }
    [[nodiscard]] int descriptor() const override { return file_->descriptor(); }

private:
    std::unique_ptr<fs::File> file_;
    Failures& failures_;
};

class FailingFileSystem : public fs::FileSystem {
public:
    Failures failures;

    base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                 const fs::OpenOptions& options) override {
        auto file = real_.open(path, options);
        if (!file.ok()) {
            return file.error();
        }
        return std::unique_ptr<fs::File>(
            std::make_unique<FailingFile>(std::move(file).value(), failures));
    }
    base::Result<std::unique_ptr<fs::Mapping>> map(const std::string& path) override {
        return real_.map(path);
    }
    base::Status make_directory(const std::string& path) override {
        return real_.make_directory(path);
    }
    base::Status remove_directory(const std::string& path) override {
        return real_.remove_directory(path);
    }
    base::Status remove_file(const std::string& path) override { return real_.remove_file(path); }
    base::Status rename(const std::string& from,
                        const std::string& to,
                        fs::RenameMode mode) override {
        return real_.rename(from, to, mode);
    }
    base::Status hard_link(const std::string& existing, const std::string& link) override {
        return real_.hard_link(existing, link);
    }
    base::Status make_symlink(const std::string& target, const std::string& link) override {
        return real_.make_symlink(target, link);
    }
    base::Result<std::string> read_symlink(const std::string& link) override {
        return real_.read_symlink(link);
    }
    base::Status sync_directory(const std::string& path) override {
        return real_.sync_directory(path);
    }
    base::Result<std::vector<std::string>> list(const std::string& path) override {
        return real_.list(path);
    }
    base::Result<fs::FileStatus> status(const std::string& path) override {
        return real_.status(path);
    }
    base::Result<fs::SpaceStatus> space(const std::string& path) override {
        return real_.space(path);
    }

private:
    fs::FileSystem& real_ = fs::real_file_system();
};

}  // namespace holdfast::telemetry
