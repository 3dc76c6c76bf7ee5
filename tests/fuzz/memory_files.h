// Files in memory behind the seam, for reading only. What a file holds ends where its memory ends,
// so that AddressSanitizer sees a read past the end of a mapping, which a page of the system hides.
//
// A path is in the list as it is written, or it does not exist; a folder is whatever stands before
// a '/' of a path. Every operation that writes is refused (kInvalid).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/file_system.h"

namespace holdfast::fuzz {

class MemoryFiles final : public fs::FileSystem {
public:
    explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}

    [[nodiscard]] const std::map<std::string, std::string>& files() const { return files_; }

    base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                 const fs::OpenOptions& options) override;
    base::Result<std::unique_ptr<fs::Mapping>> map(const std::string& path) override;
    base::Result<std::vector<std::string>> list(const std::string& path) override;
    base::Result<fs::FileStatus> status(const std::string& path) override;
    base::Result<fs::SpaceStatus> space(const std::string& path) override;
    base::Result<std::string> read_symlink(const std::string& link) override;

    base::Status make_directory(const std::string& path) override;
    base::Status remove_directory(const std::string& path) override;
    base::Status remove_file(const std::string& path) override;
    base::Status rename(const std::string& from,
                        const std::string& to,
                        fs::RenameMode mode) override;
    base::Status hard_link(const std::string& existing, const std::string& link) override;
    base::Status make_symlink(const std::string& target, const std::string& link) override;
    base::Status sync_directory(const std::string& path) override;

private:
    std::map<std::string, std::string> files_;
};

}  // namespace holdfast::fuzz
