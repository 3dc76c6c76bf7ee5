#include "checkpoint/catalog.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

void mark(Entry& entry, EntryState state, std::string why) {
    entry.state = state;
    entry.why = std::move(why);
}

// A name says step (or epoch) and lineage. When it is one of ours and says another, the manifest is
// not the one that was published under it: somebody's copy over it would pass for an older entry.
Status check_name(const Entry& entry) {
    const auto name = parse_checkpoint_name(entry.name);
    const Identity& identity = entry.manifest.identity;
    if (!name) {
        return Status{};
    }
    const std::int64_t number =
        name->form == NameForm::kEpoch ? entry.manifest.cursor.epoch : identity.step;
    if (name->number == number && name->lineage == identity.lineage) {
        return Status{};
    }
    return Error{
        ErrorKind::kCorrupt,
        fmt::format(
            "has the {} of step {}, lineage {}", kManifestName, identity.step, identity.lineage),
        0};
}

Status read_entry_manifest(fs::FileSystem& file_system, Entry& entry) {
    const std::string path = fs::join(entry.path, std::string(kManifestName));
    const Result<fs::FileStatus> status = file_system.status(path);
    if (!status.ok()) {
        return status.error();
    }
    entry.device = status.value().device;
    entry.inode = status.value().inode;
    // Looked at before it is opened: to open a fifo would wait for a writer for ever.
    if (status.value().type != fs::EntryType::kFile) {
        return Error{ErrorKind::kCorrupt, fmt::format("{} is not a plain file", kManifestName), 0};
    }
    const Result<std::string> text = fs::read_file(file_system, path, kManifestBytesMax);
    if (!text.ok()) {
        // Not a plain file, or far too long: no manifest of ours.
        return text.error().kind == ErrorKind::kInvalid
                   ? Error{ErrorKind::kCorrupt, text.error().what, 0}
                   : text.error();
    }
    Result<Manifest> manifest = parse_manifest(text.value());
    if (!manifest.ok()) {
        return manifest.error().within(kManifestName);
    }
    entry.manifest = std::move(manifest).value();
    return check_name(entry);
}

Status check_files(fs::FileSystem& file_system, Entry& entry) {
    const Result<std::vector<std::string>> listed = file_system.list(entry.path);
    if (!listed.ok()) {
        return listed.error();
    }
    std::set<std::string> expected{std::string(kManifestName)};
    for (const FileRecord& record : entry.manifest.files) {
        expected.insert(record.name);
        const Result<fs::FileStatus> status = file_system.status(fs::join(entry.path, record.name));
        if (!status.ok() && status.error().kind == ErrorKind::kNotFound) {
            return Error{ErrorKind::kCorrupt, fmt::format("has no {}", record.name), 0};
        }
        if (!status.ok()) {
            return status.error();
        }
        if (status.value().type != fs::EntryType::kFile || status.value().bytes != record.bytes) {
            return Error{ErrorKind::kCorrupt,
                         fmt::format("has {} with {} bytes, {} were written",
                                     record.name,
                                     status.value().bytes,
                                     record.bytes),
                         0};
        }
        entry.bytes += record.bytes;
        entry.shared_bytes += status.value().link_count > 1 ? record.bytes : 0;
    }
    for (const std::string& name : listed.value()) {
        // Hidden files are left by network file systems and file managers, never by us.
        if (!name.starts_with('.') && !expected.contains(name)) {
            return Error{ErrorKind::kCorrupt,
                         fmt::format("has {}, which its manifest does not know", name),
                         0};
        }
    }
    return Status{};
}

bool comes_before(const Entry& a, const Entry& b) {
    const Identity& x = a.manifest.identity;
    const Identity& y = b.manifest.identity;
    return x != y ? x < y : std::pair(a.pool, a.name) < std::pair(b.pool, b.name);
}

void scan_pool(fs::FileSystem& file_system,
               const RunPaths& paths,
               Pool pool,
               const std::string& run_id,
               Catalog& catalog) {
    const std::string folder = paths.pool(pool);
    const Result<std::vector<std::string>> names = file_system.list(folder);
    if (!names.ok()) {
        if (names.error().kind != ErrorKind::kNotFound) {
            catalog.unreadable.push_back(names.error().what);
            catalog.unlisted.push_back(pool);
        }
        return;
    }
    for (const std::string& name : names.value()) {
        // What is not named by this program is not its to judge.
        if (!parse_checkpoint_name(name)) {
            continue;
        }
        Result<Entry> entry = scan_entry(file_system, fs::join(folder, name), pool, run_id);
        if (entry.ok()) {
            catalog.entries.push_back(std::move(entry).value());
        }
    }
}

}  // namespace

Result<Entry> scan_entry(fs::FileSystem& file_system,
                         const std::string& path,
                         Pool pool,
                         const std::string& run_id) {
    Entry entry;
    entry.pool = pool;
    entry.name = fs::name_of(path);
    entry.path = path;
    Status read = read_entry_manifest(file_system, entry);
    if (read.ok()) {
        read = check_files(file_system, entry);
    }
    if (read.ok()) {
        if (!run_id.empty() && entry.manifest.run_id != run_id) {
            mark(entry, EntryState::kForeign, "is of run " + entry.manifest.run_id);
        }
        return entry;
    }
    const Result<fs::FileStatus> there = file_system.status(path);
    if (!there.ok() && there.error().kind == ErrorKind::kNotFound) {
        return Error{ErrorKind::kNotFound, fmt::format("there is no checkpoint {}", path), 0};
    }
    const std::string manifest_run_id = std::move(entry.manifest.run_id);
    entry.manifest = Manifest{};
    entry.manifest.run_id = manifest_run_id;
    entry.manifest.identity = identity_by_name(entry.name);
    switch (read.error().kind) {
        case ErrorKind::kCorrupt:
            mark(entry, EntryState::kDamaged, read.error().what);
            break;
        case ErrorKind::kNotFound:
            mark(entry, EntryState::kDamaged, fmt::format("has no {}", kManifestName));
            break;
        default:
            // The system refused, or a newer program wrote it: neither says anything of the bytes.
            mark(entry, EntryState::kUnreadable, read.error().what);
            break;
    }
    return entry;
}

Catalog scan_pools(fs::FileSystem& file_system,
                   const RunPaths& paths,
                   const std::string& run_id,
                   std::span<const Pool> pools) {
    Catalog catalog;
    for (const Pool pool : pools) {
        scan_pool(file_system, paths, pool, run_id, catalog);
    }
    std::sort(catalog.entries.begin(), catalog.entries.end(), comes_before);
    return catalog;
}

Identity identity_by_name(const std::string& name) {
    Identity identity{.lineage = 1, .step = -1, .save_id = {}};
    if (const auto parsed = parse_checkpoint_name(name)) {
        identity.lineage = parsed->lineage;
        identity.step = parsed->form == NameForm::kEpoch ? -1 : parsed->number;
    }
    return identity;
}

std::vector<Pool> outstanding_pools(const Entry& entry, const Catalog& catalog) {
    std::vector<Pool> outstanding;
    for (const Pool pool : entry.manifest.owed) {
        const bool kept_for_ever = pool == Pool::kEpoch || pool == Pool::kKeep;
        const auto settles = [&](const Entry& other) {
            const Identity& there = other.manifest.identity;
            const Identity& mine = entry.manifest.identity;
            const bool later =
                std::pair(there.lineage, there.step) > std::pair(mine.lineage, mine.step);
            const std::vector<Pool>& owed = other.manifest.owed;
            const bool will_be = std::find(owed.begin(), owed.end(), pool) != owed.end();
            return other.usable() && ((other.pool == pool && there == mine) ||
                                      (!kept_for_ever && later && (other.pool == pool || will_be)));
        };
        const bool settled = pool == entry.pool ||
                             std::any_of(catalog.entries.begin(), catalog.entries.end(), settles);
        if (!settled) {
            outstanding.push_back(pool);
        }
    }
    return outstanding;
}

}  // namespace holdfast::checkpoint
