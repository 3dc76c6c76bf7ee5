// A disk that can be made to hang: the real file system, but reads of a mapping wait while the gate
// is closed.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fs/real_file_system.h"

namespace holdfast::data {

class GatedFileSystem final : public fs::FileSystem {
public:
    void close_gate() { is_open_ = false; }
    void open_gate() { is_open_ = true; }

    base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                 const fs::OpenOptions& options) override {
        return real_.open(path, options);
    }
    base::Result<std::unique_ptr<fs::Mapping>> map(const std::string& path) override {
        auto mapping = real_.map(path);
        if (!mapping.ok()) {
            return mapping.error();
        }
        return std::unique_ptr<fs::Mapping>(
            std::make_unique<GatedMapping>(std::move(mapping).value(), is_open_));
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
    class GatedMapping final : public fs::Mapping {
    public:
        GatedMapping(std::unique_ptr<fs::Mapping> mapping, const std::atomic<bool>& is_open)
            : mapping_(std::move(mapping)), is_open_(is_open) {}
        [[nodiscard]] std::span<const std::byte> bytes() const override {
            while (!is_open_) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
            return mapping_->bytes();
        }

    private:
        std::unique_ptr<fs::Mapping> mapping_;
        const std::atomic<bool>& is_open_;
    };

    fs::FileSystem& real_ = fs::real_file_system();
    std::atomic<bool> is_open_ = true;
};

}  // namespace holdfast::data
