// The real file system until the n-th call; from then on every call fails, as if the process had
// died there (what destructors still try then fails too).
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fs/file_system.h"

namespace holdfast::data {

class DyingFileSystem final : public fs::FileSystem {
public:
    // `inner` must outlive this object; calls are counted from 1, files' calls too.
    DyingFileSystem(fs::FileSystem& inner, std::uint64_t dies_at)
        : inner_(inner), dies_at_(dies_at) {}

    [[nodiscard]] std::uint64_t call_count() const { return count_; }

    base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                 const fs::OpenOptions& options) override {
        if (is_dead()) {
            return death();
        }
        auto file = inner_.open(path, options);
        if (!file.ok()) {
            return file.error();
        }
        return std::unique_ptr<fs::File>(
            std::make_unique<DyingFile>(*this, std::move(file).value()));
    }
    base::Result<std::unique_ptr<fs::Mapping>> map(const std::string& path) override {
        return is_dead() ? base::Result<std::unique_ptr<fs::Mapping>>(death()) : inner_.map(path);
    }
    base::Status make_directory(const std::string& path) override {
        return is_dead() ? death() : inner_.make_directory(path);
    }
    base::Status remove_directory(const std::string& path) override {
        return is_dead() ? death() : inner_.remove_directory(path);
    }
    base::Status remove_file(const std::string& path) override {
        return is_dead() ? death() : inner_.remove_file(path);
    }
    base::Status rename(const std::string& from,
                        const std::string& to,
                        fs::RenameMode mode) override {
        return is_dead() ? death() : inner_.rename(from, to, mode);
    }
    base::Status hard_link(const std::string& existing, const std::string& link) override {
        return is_dead() ? death() : inner_.hard_link(existing, link);
    }
    base::Status make_symlink(const std::string& target, const std::string& link) override {
        return is_dead() ? death() : inner_.make_symlink(target, link);
    }
    base::Result<std::string> read_symlink(const std::string& link) override {
        return is_dead() ? base::Result<std::string>(death()) : inner_.read_symlink(link);
    }
    base::Status sync_directory(const std::string& path) override {
        return is_dead() ? death() : inner_.sync_directory(path);
    }
    base::Result<std::vector<std::string>> list(const std::string& path) override {
        return is_dead() ? base::Result<std::vector<std::string>>(death()) : inner_.list(path);
    }
    base::Result<fs::FileStatus> status(const std::string& path) override {
        return is_dead() ? base::Result<fs::FileStatus>(death()) : inner_.status(path);
    }
    base::Result<fs::SpaceStatus> space(const std::string& path) override {
        return is_dead() ? base::Result<fs::SpaceStatus>(death()) : inner_.space(path);
    }

private:
    class DyingFile final : public fs::File {
    public:
        DyingFile(DyingFileSystem& owner, std::unique_ptr<fs::File> inner)
            : owner_(owner), inner_(std::move(inner)) {}

        base::Result<std::size_t> read_at(std::span<std::byte> buffer,
                                          std::uint64_t offset) override {
            return owner_.is_dead() ? base::Result<std::size_t>(death())
                                    : inner_->read_at(buffer, offset);
        }
        base::Result<std::size_t> write_at(std::span<const std::byte> bytes,
                                           std::uint64_t offset) override {
            return owner_.is_dead() ? base::Result<std::size_t>(death())
                                    : inner_->write_at(bytes, offset);
        }
        base::Result<std::size_t> append(std::span<const std::byte> bytes) override {
            return owner_.is_dead() ? base::Result<std::size_t>(death()) : inner_->append(bytes);
        }
        base::Status sync() override { return owner_.is_dead() ? death() : inner_->sync(); }
        base::Status truncate(std::uint64_t bytes) override {
            return owner_.is_dead() ? death() : inner_->truncate(bytes);
        }
        base::Status reserve(std::uint64_t bytes) override {
            return owner_.is_dead() ? death() : inner_->reserve(bytes);
        }
        base::Status drop_cache() override {
            return owner_.is_dead() ? death() : inner_->drop_cache();
        }
        base::Status set_permissions(std::uint32_t mode) override {
            return owner_.is_dead() ? death() : inner_->set_permissions(mode);
        }
        base::Result<fs::FileStatus> status() override {
            return owner_.is_dead() ? base::Result<fs::FileStatus>(death()) : inner_->status();
        }
        base::Status lock_exclusive() override {
            return owner_.is_dead() ? death() : inner_->lock_exclusive();
        }
        base::Status close() override { return owner_.is_dead() ? death() : inner_->close(); }
        [[nodiscard]] int descriptor() const override { return inner_->descriptor(); }

    private:
        DyingFileSystem& owner_;
        std::unique_ptr<fs::File> inner_;
    };

    bool is_dead() { return ++count_ >= dies_at_; }
    static base::Error death() { return base::error_from_errno("reach", "the dead disk", EIO); }

    fs::FileSystem& inner_;
    std::uint64_t dies_at_;
    std::uint64_t count_ = 0;
};

}  // namespace holdfast::data
