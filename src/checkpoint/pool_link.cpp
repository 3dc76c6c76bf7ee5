#include "checkpoint/pool_link.h"

#include <array>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/words.h"
#include "checkpoint/chunk_file.h"
#include "checkpoint/publish.h"
#include "checkpoint/stream_writer.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Errors that mean "not here", not "not now".
bool links_unsupported(int os_errno) {
    constexpr std::array kErrors{EXDEV, EPERM, EMLINK, EOPNOTSUPP, ENOSYS, EINVAL};
    for (const int error : kErrors) {
        if (error == os_errno) {
            return true;
        }
    }
    return false;
}

std::vector<std::string> all_names(const Manifest& manifest) {
    std::vector<std::string> names;
    for (const FileRecord& file : manifest.files) {
        names.push_back(file.name);
    }
    names.emplace_back(kManifestName);
    return names;
}

Status link_files(fs::FileSystem& file_system,
                  const std::string& source,
                  const std::string& target,
                  const Manifest& manifest) {
    for (const std::string& name : all_names(manifest)) {
        const Status linked = file_system.hard_link(fs::join(source, name), fs::join(target, name));
        if (!linked.ok()) {
            return linked;
        }
    }
    return Status{};
}

Status copy_file(fs::FileSystem& file_system,
                 const std::string& source,
                 const std::string& target,
                 const FileRecord& record,
                 const AlignedBuffer& buffer,
                 TransferBuffers& buffers) {
    const Result<ChunkFile> from =
        ChunkFile::open(file_system, fs::join(source, record.name), false);
    if (!from.ok()) {
        return from.error();
    }
    const auto produce = [&](StreamWriter& writer) {
        std::uint64_t offset = 0;
        for (const ChunkRecord& chunk : record.chunks) {
            const auto bytes = from.value().read_verified(offset, chunk, buffer.bytes());
            if (!bytes.ok()) {
                return Status(bytes.error());
            }
            if (Status written = writer.append(bytes.value()); !written.ok()) {
                return written;
            }
            offset += chunk.bytes;
        }
        return Status{};
    };
    const Result<VerifiedFile> copy =
        write_verified_file(file_system, target, record.name, record.bytes, buffers, produce);
    return copy.ok() ? Status{} : Status(copy.error());
}

Status copy_files(fs::FileSystem& file_system,
                  const std::string& source,
                  const std::string& target,
                  const Manifest& manifest,
                  TransferBuffers& buffers) {
    const Result<fs::SpaceStatus> space = file_system.space(fs::parent_of(target));
    if (!space.ok()) {
        return space.error();
    }
    const std::uint64_t needed = manifest.files_bytes() + kSpaceMarginBytes;
    if (space.value().available_bytes < needed) {
        return Error{ErrorKind::kNoSpace,
                     fmt::format("a copy of {} needs {}, {} is free",
                                 source,
                                 base::bytes_in_words(needed),
                                 base::bytes_in_words(space.value().available_bytes)),
                     ENOSPC};
    }
    const AlignedBuffer buffer(kChunkBytes + 2 * kDirectAlignment);
    for (const FileRecord& record : manifest.files) {
        const Status copied = copy_file(file_system, source, target, record, buffer, buffers);
        if (!copied.ok()) {
            return copied;
        }
    }
    const Result<std::string> text =
        fs::read_file(file_system, fs::join(source, std::string(kManifestName)), kManifestBytesMax);
    if (!text.ok()) {
        return text.error();
    }
    const Result<Manifest> again = parse_manifest(text.value());
    if (!again.ok() || again.value() != manifest) {
        return Error{ErrorKind::kCorrupt, fmt::format("{} changed while it was copied", source), 0};
    }
    const Result<VerifiedFile> written =
        write_verified_file(file_system,
                            target,
                            std::string(kManifestName),
                            text.value().size(),
                            buffers,
                            [&](StreamWriter& writer) {
                                return writer.append(std::as_bytes(std::span(text.value())));
                            });
    return written.ok() ? Status{} : Status(written.error());
}

// The files in a pending directory, linked or copied, and the directory synced.
Status fill(fs::FileSystem& file_system,
            const std::string& source,
            const std::string& target,
            const Manifest& manifest,
            Pool pool,
            TransferBuffers& buffers) {
    Status filled;
    if (!is_backup(pool)) {
        filled = link_files(file_system, source, target, manifest);
    }
    if (is_backup(pool) || (!filled.ok() && links_unsupported(filled.error().os_errno))) {
        for (const std::string& name : all_names(manifest)) {
            const Status removed = file_system.remove_file(fs::join(target, name));
            if (!removed.ok() && removed.error().kind != ErrorKind::kNotFound) {
                return removed;
            }
        }
        filled = copy_files(file_system, source, target, manifest, buffers);
    }
    return filled.ok() ? file_system.sync_directory(target) : filled;
}

// The name under which the pool already holds this identity.
Result<std::optional<CheckpointName>> find_in_pool(fs::FileSystem& file_system,
                                                   const RunPaths& paths,
                                                   Pool pool,
                                                   const CheckpointName& wanted,
                                                   const Manifest& manifest) {
    const Result<std::vector<std::string>> names = file_system.list(paths.pool(pool));
    if (!names.ok()) {
        return names.error().kind == ErrorKind::kNotFound
                   ? Result<std::optional<CheckpointName>>(std::optional<CheckpointName>())
                   : names.error();
    }
    for (const std::string& text : names.value()) {
        const auto name = parse_checkpoint_name(text);
        if (!name || name->number != wanted.number) {
            continue;
        }
        const Result<std::string> bytes =
            fs::read_file(file_system,
                          fs::join(fs::join(paths.pool(pool), text), std::string(kManifestName)),
                          kManifestBytesMax);
        // An entry that cannot be read is not the one looked for; the scan reports it.
        const Result<Manifest> there =
            bytes.ok() ? parse_manifest(bytes.value()) : Result<Manifest>(bytes.error());
        if (there.ok() && there.value().run_id == manifest.run_id &&
            there.value().identity == manifest.identity) {
            return name;
        }
    }
    return std::optional<CheckpointName>();
}

}  // namespace

Result<PublishedCheckpoint> link_into(fs::FileSystem& file_system,
                                      const RunPaths& paths,
                                      const std::string& source_path,
                                      const Manifest& manifest,
                                      Pool pool,
                                      TransferBuffers& buffers) {
    const std::string context = fmt::format("adding {} to {}", source_path, to_string(pool));
    const auto published = [&](const CheckpointName& name) {
        const std::string text = to_string(name);
        return PublishedCheckpoint{pool, text, fs::join(paths.pool(pool), text), manifest};
    };
    const CheckpointName wanted = name_in_pool(pool,
                                               manifest.identity.step,
                                               manifest.cursor.epoch,
                                               manifest.identity.lineage,
                                               manifest.created_utc_seconds);
    const Result<std::optional<CheckpointName>> there =
        find_in_pool(file_system, paths, pool, wanted, manifest);
    if (!there.ok()) {
        return there.error().within(context);
    }
    if (there.value()) {
        return published(*there.value());
    }
    const Result<std::string> pending =
        make_pending_directory(file_system, paths, pool, make_save_id());
    if (!pending.ok()) {
        return pending.error().within(context);
    }
    const Status filled = fill(file_system, source_path, pending.value(), manifest, pool, buffers);
    const Result<CheckpointName> name =
        filled.ok() ? publish_directory(file_system, paths, pending.value(), pool, wanted)
                    : Result<CheckpointName>(filled.error());
    if (!name.ok()) {
        // Best effort: a leftover is cleared by the next pass.
        static_cast<void>(remove_tree(file_system, pending.value()).ok());
        return name.error().within(context);
    }
    return published(name.value());
}

}  // namespace holdfast::checkpoint
