#include "checkpoint/pool_link.h"

#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/catalog.h"
#include "checkpoint/publish.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

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
        // An entry that is damaged or cannot be read is not the one looked for; the scan tells it.
        const Result<Entry> there =
            scan_entry(file_system, fs::join(paths.pool(pool), text), pool, manifest.run_id);
        if (there.ok() && there.value().usable() &&
            there.value().manifest.identity == manifest.identity) {
            return name;
        }
        // It may be the one looked for: a second one under another name would stay.
        if (there.ok() && there.value().state == EntryState::kUnreadable) {
            return Error{
                ErrorKind::kIo,
                fmt::format(
                    "{} cannot be read just now: {}", there.value().path, there.value().why),
                0};
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
                                      TransferBuffers& buffers,
                                      Sharing sharing,
                                      const GoOn& go_on) {
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
    Status ready = fill_entry(file_system,
                              source_path,
                              pending.value(),
                              manifest,
                              is_backup(pool) ? Sharing::kCopies : sharing,
                              buffers,
                              go_on);
    if (ready.ok() && go_on) {
        ready = go_on();
    }
    const Result<CheckpointName> name =
        ready.ok() ? publish_directory(file_system, paths, pending.value(), pool, wanted)
                   : Result<CheckpointName>(ready.error());
    if (!name.ok()) {
        // Best effort: a leftover is cleared by the next pass.
        static_cast<void>(remove_tree(file_system, pending.value()).ok());
        return name.error().within(context);
    }
    return published(name.value());
}

}  // namespace holdfast::checkpoint
