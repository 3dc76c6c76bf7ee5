// Whole transfers over the seam, and small files that survive a power cut.
//
// The seam's calls are single system calls; these repeat them over EINTR and short transfers. Every
// function may block on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::fs {

// All of `bytes` at `offset`. A transfer of 0 bytes is kNoSpace: no file system makes progress
// after it.
base::Status write_all(File& file, std::span<const std::byte> bytes, std::uint64_t offset);
base::Status append_all(File& file, std::span<const std::byte> bytes);

// Exactly buffer.size() bytes from `offset`; kCorrupt when the file ends before. `path` is for the
// message.
base::Status read_exactly(File& file,
                          std::span<std::byte> buffer,
                          std::uint64_t offset,
                          std::string_view path);

// The whole file as text, at most `bytes_max` (kInvalid beyond: checked before anything is
// allocated).
base::Result<std::string> read_file(FileSystem& file_system,
                                    const std::string& path,
                                    std::uint64_t bytes_max);

// Where `path` leads: itself, or through symlinks to a path that is none or where nothing is. Only
// the last part is looked at. kInvalid: more than 40 symlinks.
base::Result<std::string> follow_symlinks(FileSystem& file_system, const std::string& path);

// Replaces (or makes) `path` so that after a crash it holds either the old bytes or the new: writes
// `path`.new, fsyncs it, renames it over, fsyncs the directory. On failure `path` is as it was.
base::Status replace_file(FileSystem& file_system, const std::string& path, std::string_view bytes);

}  // namespace holdfast::fs
