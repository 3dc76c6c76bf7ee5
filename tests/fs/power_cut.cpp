#include "fs/power_cut.h"

#include <algorithm>
#include <utility>

namespace holdfast::fs {

using Kind = DiskOperation::Kind;

namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kPage = 4096;

void write_into(std::string& content, const DiskOperation& operation) {
    if (operation.kind == Kind::kResize) {
        content.resize(operation.offset);
        return;
    }
    content.resize(
        std::max<std::size_t>(content.size(), operation.offset + operation.bytes.size()));
    content.replace(operation.offset, operation.bytes.size(), operation.bytes);
}

// `length` bytes: those of `kept` where keep(block) says so, else those of `lost`, else zeros.
template <typename Keep>
std::string torn(const std::string& lost,
                 const std::string& kept,
                 std::size_t length,
                 std::size_t block_bytes,
                 Keep keep) {
    std::string content = lost;
    content.resize(length);
    for (std::size_t begin = 0; begin < std::min(length, kept.size()); begin += block_bytes) {
        if (keep(begin / block_bytes)) {
            const std::size_t count = std::min({block_bytes, length - begin, kept.size() - begin});
            content.replace(begin, count, kept, begin, count);
        }
    }
    return content;
}

}  // namespace

// One call of for_each_state().
class PowerCut::Enumeration {
public:
    Enumeration(const PowerCut& cut,
                std::uint64_t seed,
                const std::function<bool(const DiskImage&)>& visit)
        : cut_(cut), files_(cut.file_items()), visit_(visit), random_(seed) {
        options_.assign(cut.changes_.size(), 2);
        for (const FileItem& file : files_) {
            options_.push_back(file.versions.size());
        }
    }

    bool run(const CutBounds& bounds) {
        std::uint64_t combinations = 1;
        for (const std::size_t count : options_) {
            combinations = std::min(combinations * count, bounds.exhaustive_max + 1);
        }
        if (combinations <= bounds.exhaustive_max) {
            return visit_all();
        }
        return visit_uniform() && visit_single() && visit_pairs(bounds.pairs_max) &&
               visit_samples(bounds.samples);
    }

private:
    bool visit(const Choices& choices) { return visit_(cut_.state(choices, files_)); }

    bool visit_all() {
        Choices choices(options_.size(), 0);
        while (true) {
            if (!visit(choices)) {
                return false;
            }
            std::size_t i = 0;
            while (i < choices.size() && ++choices[i] == options_[i]) {
                choices[i++] = 0;
            }
            if (i == choices.size()) {
                return true;
            }
        }
    }
    bool visit_uniform() {
        return visit(Choices(options_.size(), 0)) && visit(Choices(options_.size(), 1));
    }
    // Each choice alone, the rest lost; and the rest kept.
    bool visit_single() {
        for (const std::size_t rest : {0U, 1U}) {
            Choices choices(options_.size(), rest);
            for (std::size_t i = 0; i < choices.size(); ++i) {
                for (choices[i] = 0; choices[i] < options_[i]; ++choices[i]) {
                    if (choices[i] != rest && !visit(choices)) {
                        return false;
                    }
                }
                choices[i] = rest;
            }
        }
        return true;
    }
    bool visit_pairs(std::uint64_t pairs_max) {
        for (const std::size_t rest : {0U, 1U}) {
            Choices choices(options_.size(), rest);
            for (std::uint64_t pair = 0; pair < pairs_max; ++pair) {
                const std::size_t i = random_() % choices.size();
                const std::size_t j = random_() % choices.size();
                choices[i] = choices[j] = 1 - rest;
                if (!visit(choices)) {
                    return false;
                }
                choices[i] = choices[j] = rest;
            }
        }
        return true;
    }
    bool visit_samples(std::uint64_t samples) {
        for (std::uint64_t sample = 0; sample < samples; ++sample) {
            const std::uint64_t kept_of_eight = 1 + random_() % 7;
            Choices choices;
            for (const std::size_t count : options_) {
                const bool kept = random_() % 8 < kept_of_eight;
                choices.push_back(count == 2 || random_() % 2 == 0 ? (kept ? 1 : 0)
                                                                   : random_() % count);
            }
            if (!visit(choices) || !visit_(with_random_tears(choices))) {
                return false;
            }
        }
        return true;
    }
    DiskImage with_random_tears(const Choices& choices) {
        DiskImage image = cut_.state(choices, files_);
        for (const FileItem& file : files_) {
            const std::size_t block_bytes = kSector << (random_() % 4);
            const std::uint64_t kept_of_eight = 1 + random_() % 7;
            image.change(file.inode)
                .set_bytes(torn(file.versions[0]->bytes,
                                file.versions[1]->bytes,
                                file.lengths[random_() % file.lengths.size()],
                                block_bytes,
                                [&](std::size_t) { return random_() % 8 < kept_of_eight; }));
        }
        return image;
    }

    const PowerCut& cut_;
    std::vector<FileItem> files_;
    const std::function<bool(const DiskImage&)>& visit_;
    std::mt19937_64 random_;
    std::vector<std::size_t> options_;
};

PowerCut::PowerCut(DiskImage durable, RenameModel rename_model)
    : durable_(std::move(durable)), rename_model_(rename_model) {}

void PowerCut::apply(const DiskOperation& operation) {
    // What happens to a file that lost its last name while it was open does not reach the disk.
    if (operation.kind != Kind::kMake && durable_.find(operation.inode) == nullptr) {
        return;
    }
    const Name name{operation.directory, operation.name};
    switch (operation.kind) {
        case Kind::kWrite:
        case Kind::kResize:
            data_[operation.inode].push_back(operation);
            break;
        case Kind::kMake:
            durable_.add_as(operation.inode, operation.type, operation.mode, operation.bytes);
            add_change({.inode = operation.inode, .added = name, .removed = {}, .needs = {}});
            break;
        case Kind::kLink:
            add_change({.inode = operation.inode, .added = name, .removed = {}, .needs = {}});
            break;
        case Kind::kRemove:
            add_change({.inode = operation.inode, .added = {}, .removed = name, .needs = {}});
            break;
        case Kind::kRename:
            rename(operation);
            break;
        case Kind::kSyncFile:
            sync_file(operation.inode);
            break;
        case Kind::kSyncDirectory:
            sync_directory(operation.inode);
            break;
    }
}

void PowerCut::add_change(NameChange change) {
    change.serial = next_serial_++;
    for (const NameChange& before : changes_) {
        // A rename takes along the making of its old name, which else could come back beside it.
        const bool are_bound = before.is_rename || change.is_rename;
        if (change.removed && are_bound && before.added == change.removed) {
            change.needs.push_back(before.serial);
        }
    }
    changes_.push_back(std::move(change));
}

void PowerCut::rename(const DiskOperation& operation) {
    const Name from{operation.directory, operation.name};
    const Name to{operation.to_directory, operation.to_name};
    if (rename_model_ == RenameModel::kAtomic || from.directory == to.directory) {
        add_change({.inode = operation.inode,
                    .added = to,
                    .removed = from,
                    .is_rename = true,
                    .needs = {}});
        return;
    }
    add_change(
        {.inode = operation.inode, .added = to, .removed = {}, .is_rename = true, .needs = {}});
    add_change({.inode = operation.inode,
                .added = {},
                .removed = from,
                .is_rename = true,
                .needs = {changes_.back().serial}});
}

std::set<std::uint64_t> PowerCut::with_needs(const std::set<std::uint64_t>& serials) const {
    std::set<std::uint64_t> all = serials;
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
        if (all.contains(change->serial)) {
            all.insert(change->needs.begin(), change->needs.end());
        }
    }
    return all;
}

void PowerCut::carry_out(const NameChange& change, DiskImage& image) {
    if (change.removed) {
        const auto& entries = image.find(change.removed->directory)->entries;
        const auto entry = entries.find(change.removed->name);
        if (entry != entries.end() && entry->second == change.inode) {
            image.change(change.removed->directory).entries.erase(change.removed->name);
        }
    }
    if (change.added) {
        image.change(change.added->directory).entries[change.added->name] = change.inode;
    }
}

void PowerCut::sync_file(InodeNumber inode) {
    const auto writes = data_.find(inode);
    if (writes != data_.end()) {
        durable_.change(inode).set_bytes(contents_after(inode, writes->second).back());
        data_.erase(writes);
    }
}

void PowerCut::sync_directory(InodeNumber directory) {
    std::set<std::uint64_t> synced;
    for (const NameChange& change : changes_) {
        const Name& decides = change.added ? *change.added : *change.removed;
        if (decides.directory == directory) {
            synced.insert(change.serial);
        }
    }
    synced = with_needs(synced);
    for (const NameChange& change : changes_) {
        if (synced.contains(change.serial)) {
            carry_out(change, durable_);
        }
    }
    std::erase_if(changes_,
                  [&](const NameChange& change) { return synced.contains(change.serial); });
    forget_unreachable();
}

void PowerCut::forget_unreachable() {
    std::set<InodeNumber> reached{kRootInode};
    std::vector<InodeNumber> todo{kRootInode};
    const auto reach = [&](InodeNumber number) {
        if (reached.insert(number).second) {
            todo.push_back(number);
        }
    };
    while (!todo.empty()) {
        const InodeNumber number = todo.back();
        todo.pop_back();
        for (const auto& [name, child] : durable_.find(number)->entries) {
            reach(child);
        }
        for (const NameChange& change : changes_) {
            if (change.added && change.added->directory == number) {
                reach(change.inode);
            }
        }
    }
    std::erase_if(changes_, [&](const NameChange& change) {
        const Name& decides = change.added ? *change.added : *change.removed;
        return !reached.contains(decides.directory) || !reached.contains(change.inode);
    });
    std::erase_if(data_, [&](const auto& writes) { return !reached.contains(writes.first); });
    durable_.keep_only(reached);
}

std::vector<std::string> PowerCut::contents_after(InodeNumber inode,
                                                  const std::vector<DiskOperation>& writes) const {
    std::vector<std::string> contents;
    std::string content = durable_.find(inode)->bytes;
    for (const DiskOperation& operation : writes) {
        write_into(content, operation);
        contents.push_back(content);
    }
    return contents;
}

std::vector<PowerCut::FileItem> PowerCut::file_items() const {
    std::vector<FileItem> items;
    for (const auto& [inode, writes] : data_) {
        const std::string& lost = durable_.find(inode)->bytes;
        const std::vector<std::string> after = contents_after(inode, writes);
        const std::string& kept = after.back();
        FileItem item{.inode = inode, .versions = {}, .lengths = {lost.size()}};
        const auto add = [&](std::string bytes) {
            const bool known =
                std::any_of(item.versions.begin(), item.versions.end(), [&](const auto& other) {
                    return other->bytes == bytes;
                });
            if (!known || item.versions.size() < 2) {
                auto version = std::make_shared<DiskInode>(*durable_.find(inode));
                version->set_bytes(std::move(bytes));
                version->bytes_digest = digest_of_bytes(version->bytes);
                item.versions.push_back(std::move(version));
            }
        };
        add(lost);
        add(kept);
        for (const std::string& content : after) {
            item.lengths.push_back(content.size());
            add(content);
        }
        const std::size_t sectors = (kept.size() + kSector - 1) / kSector;
        const std::size_t length = kept.size();
        add(torn(lost, kept, length, kSector, [](std::size_t) { return false; }));
        add(torn(lost, kept, length, kPage, [](std::size_t page) { return page > 0; }));
        add(torn(lost, kept, length, kPage, [](std::size_t page) { return page == 0; }));
        add(torn(lost, kept, length, kSector, [](std::size_t i) { return i == 0; }));
        add(torn(lost, kept, length, kSector, [](std::size_t i) { return i > 0; }));
        add(torn(lost, kept, length, kSector, [&](std::size_t i) { return i + 1 < sectors; }));
        add(torn(lost, kept, length, kSector, [&](std::size_t i) { return i != sectors / 2; }));
        if (kept.size() > lost.size()) {
            add(kept.substr(0, std::max(lost.size(), kept.size() / kSector * kSector)));
        }
        items.push_back(std::move(item));
    }
    return items;
}

DiskImage PowerCut::state(const Choices& choices, const std::vector<FileItem>& files) const {
    std::set<std::uint64_t> kept;
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        if (choices[i] == 1) {
            kept.insert(changes_[i].serial);
        }
    }
    kept = with_needs(kept);
    DiskImage image = durable_;
    for (const NameChange& change : changes_) {
        if (kept.contains(change.serial)) {
            carry_out(change, image);
        }
    }
    for (std::size_t i = 0; i < files.size(); ++i) {
        image.replace(files[i].inode, files[i].versions[choices[changes_.size() + i]]);
    }
    return image;
}

bool PowerCut::for_each_state(const CutBounds& bounds,
                              std::uint64_t seed,
                              const std::function<bool(const DiskImage&)>& visit) const {
    durable_.digest_all_bytes();
    return Enumeration(*this, seed, visit).run(bounds);
}

}  // namespace holdfast::fs
