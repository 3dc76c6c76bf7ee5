// Method: random traces of calls run on the simulated file system and on a real directory (of the
// disk, and of memory). Every answer, success or errno, and after each call everything a program
// can see of the tree must be equal.

#include "fs/simulated_file_system.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::fs {
namespace {

constexpr int kCallsEach = 2000;

// What a call answered, in a form that can be compared.
template <typename T>
std::string told(const base::Result<T>& result) {
    return result.ok() ? "ok" : std::to_string(result.error().os_errno);
}
std::string told(const base::Status& status) {
    return status.ok() ? "ok" : std::to_string(status.error().os_errno);
}

std::string contents(FileSystem& file_system, const std::string& path) {
    const auto file = file_system.open(path, {});
    if (!file.ok()) {
        return "unreadable";
    }
    std::string text(1U << 16U, '\0');
    const auto count = file.value()->read_at(std::as_writable_bytes(std::span(text)), 0);
    return count.ok() ? text.substr(0, count.value()) : "unreadable";
}

// Everything below `path`, names relative to it. Inodes are numbered in the order they are met.
void describe(FileSystem& file_system,
              const std::string& path,
              const std::string& name,
              std::map<std::uint64_t, std::size_t>& numbers,
              std::string& out) {
    const auto status = file_system.status(path);
    if (!status.ok()) {
        out += name + " vanished\n";
        return;
    }
    const FileStatus& seen = status.value();
    const auto number = numbers.emplace(seen.inode, numbers.size()).first->second;
    out += name + " type " + std::to_string(static_cast<int>(seen.type)) + " inode " +
           std::to_string(number);
    if (seen.type == EntryType::kFile) {
        out += " links " + std::to_string(seen.link_count) + " bytes " +
               std::to_string(seen.bytes) + ' ' + contents(file_system, path) + '\n';
    } else if (seen.type == EntryType::kSymlink) {
        out += " bytes " + std::to_string(seen.bytes) + " -> " +
               file_system.read_symlink(path).value() + '\n';
    } else {
        out += '\n';
        const auto children = file_system.list(path);
        for (const std::string& child : children.value()) {
            describe(file_system, path + '/' + child, name + '/' + child, numbers, out);
        }
    }
}

// One of the two disks, driven by the same choices as the other.
class Disk {
public:
    Disk(FileSystem& file_system, std::string root)
        : file_system_(file_system), root_(std::move(root)) {}

    struct Choice {
        std::uint32_t call;
        std::string a;
        std::string b;
        std::uint64_t bytes;
        std::uint64_t offset;
        bool replace;
    };

    std::string apply(const Choice& choice) {
        const std::string a = root_ + '/' + choice.a;
        const std::string b = root_ + '/' + choice.b;
        switch (choice.call % 20) {
            case 0:
                return told(file_system_.make_directory(a));
            case 1:
                return told(file_system_.remove_directory(a));
            case 2:
                return told(file_system_.remove_file(a));
            case 3:
            case 4:
                return told(file_system_.rename(
                    a, b, choice.replace ? RenameMode::kReplace : RenameMode::kNoReplace));
            case 5:
                return told(file_system_.hard_link(a, b));
            case 6:
                return told(file_system_.make_symlink(choice.b, a));
            case 7: {
                const auto target = file_system_.read_symlink(a);
                return told(target) + (target.ok() ? target.value() : "");
            }
            case 8:
                return told(file_system_.sync_directory(a));
            case 9: {
                const auto mapping = file_system_.map(a);
                return told(mapping) +
                       (mapping.ok() ? std::to_string(mapping.value()->bytes().size()) : "");
            }
            case 10:
                return told(file_system_.list(a));
            case 11:
                return told(file_system_.status(a)) + told(file_system_.space(a));
            default:
                return apply_to_file(choice, a);
        }
    }

    std::string tree() {
        std::map<std::uint64_t, std::size_t> numbers;
        std::string out;
        describe(file_system_, root_, "", numbers, out);
        return out;
    }

private:
    std::string apply_to_file(const Choice& choice, const std::string& path) {
        if (choice.call % 20 == 12) {
            held_.clear();
            return "closed";
        }
        if (choice.call % 20 < 17 || held_.empty()) {
            constexpr std::array kModes{OpenMode::kRead,
                                        OpenMode::kCreateNew,
                                        OpenMode::kReadWrite,
                                        OpenMode::kWriteOnly,
                                        OpenMode::kAppend,
                                        OpenMode::kOpenOrCreate};
            const OpenMode mode = kModes.at(choice.call / 20 % kModes.size());
            auto file = file_system_.open(path, {.mode = mode});
            std::string answer = told(file);
            if (file.ok()) {
                answer += mode == OpenMode::kAppend ? told(file.value()->append(bytes_of(choice)))
                                                    : change(*file.value(), choice);
                held_.push_back(std::move(file).value());
            }
            return answer;
        }
        File& file = *held_[choice.offset % held_.size()];
        return told(file.status()) + std::to_string(file.status().value().link_count) +
               told(file.lock_exclusive()) + told(file.sync()) + told(file.drop_cache());
    }

    static std::string change(File& file, const Choice& choice) {
        switch (choice.call / 120 % 4) {
            case 0:
                return told(file.write_at(bytes_of(choice), choice.offset));
            case 1:
                return told(file.truncate(choice.offset));
            case 2:
                return told(file.reserve(choice.bytes));
            default: {
                std::string text(64, '\0');
                const auto count =
                    file.read_at(std::as_writable_bytes(std::span(text)), choice.offset);
                return told(count) + (count.ok() ? text.substr(0, count.value()) : "");
            }
        }
    }
    static std::span<const std::byte> bytes_of(const Choice& choice) {
        static const std::string kText(256, 'x');
        return std::as_bytes(std::span(kText)).first(choice.bytes);
    }

    FileSystem& file_system_;
    std::string root_;
    std::vector<std::unique_ptr<File>> held_;
};

// Few names, so that calls meet each other.
std::string random_path(std::mt19937& random) {
    std::string path;
    for (auto depth = random() % 3; true; --depth) {
        path += std::string(1, static_cast<char>('a' + random() % 4));
        if (depth == 0) {
            return path;
        }
        path += '/';
    }
}

// The first lines that differ; empty when none do.
std::string first_difference(const std::string& simulated, const std::string& real) {
    std::istringstream a(simulated);
    std::istringstream b(real);
    std::string line_a;
    std::string line_b;
    while (std::getline(a, line_a) && std::getline(b, line_b) && line_a == line_b) {
    }
    return simulated == real ? "" : line_a.substr(0, 200) + "; really " + line_b.substr(0, 200);
}

void compare_on(const std::string& real_root, std::uint32_t seed) {
    SimulatedFileSystem simulated;
    ASSERT_TRUE(simulated.make_directory("/top").ok());
    Disk here(simulated, "/top");
    Disk there(real_file_system(), real_root);
    std::mt19937 random(seed);
    for (int i = 0; i < kCallsEach; ++i) {
        const Disk::Choice choice{.call = static_cast<std::uint32_t>(random()),
                                  .a = random_path(random),
                                  .b = random_path(random),
                                  .bytes = random() % 200,
                                  .offset = random() % 300,
                                  .replace = random() % 2 == 0};
        SCOPED_TRACE(testing::Message()
                     << "seed " << seed << ", call " << i << " of kind " << choice.call % 20
                     << " on " << choice.a << ' ' << choice.b);
        ASSERT_EQ(here.apply(choice), there.apply(choice));
        ASSERT_EQ(first_difference(here.tree(), there.tree()), "");
    }
}

TEST(SimulatedFileSystem, AnswersAsTheDiskDoes) {
    for (std::uint32_t seed = 0; seed < 3; ++seed) {
        const TemporaryDirectory directory;
        compare_on(directory.path(), seed);
    }
}

TEST(SimulatedFileSystem, AnswersAsTheMemoryDiskDoes) {
    if (!std::filesystem::is_directory("/dev/shm")) {
        GTEST_SKIP() << "this machine has no /dev/shm";
    }
    for (std::uint32_t seed = 10; seed < 13; ++seed) {
        std::string pattern = "/dev/shm/holdfast-test-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        compare_on(pattern, seed);
        std::filesystem::remove_all(pattern);
    }
}

TEST(SimulatedFileSystem, DemandsTheAlignmentOfDirectTransfers) {
    SimulatedFileSystem simulated;
    const auto file =
        simulated.open("/file", {.mode = OpenMode::kCreateNew, .direct = true}).value();
    alignas(4096) static std::array<std::byte, 8192> buffer{};
    EXPECT_TRUE(file->write_at(std::span(buffer), 0).ok());
    EXPECT_EQ(file->write_at(std::span(buffer).first(100), 0).error().os_errno, EINVAL);
    EXPECT_EQ(file->write_at(std::span(buffer).first(4096), 512).error().os_errno, EINVAL);
    EXPECT_EQ(file->read_at(std::span(buffer).subspan(1, 4096), 0).error().os_errno, EINVAL);
}

TEST(SimulatedFileSystem, WritesDownEveryChangeAndNothingElse) {
    SimulatedFileSystem simulated;
    ASSERT_TRUE(simulated.make_directory("/d").ok());
    const auto file = simulated.open("/d/f", {.mode = OpenMode::kCreateNew}).value();
    ASSERT_TRUE(file->reserve(10).ok());
    ASSERT_TRUE(file->reserve(10).ok());
    ASSERT_TRUE(file->truncate(10).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_FALSE(simulated.make_directory("/d").ok());
    ASSERT_TRUE(simulated.list("/d").ok());
    ASSERT_TRUE(simulated.sync_directory("/d").ok());
    std::vector<DiskOperation::Kind> kinds;
    for (const DiskOperation& operation : simulated.operations()) {
        kinds.push_back(operation.kind);
    }
    using Kind = DiskOperation::Kind;
    EXPECT_EQ(kinds,
              (std::vector{
                  Kind::kMake, Kind::kMake, Kind::kResize, Kind::kSyncFile, Kind::kSyncDirectory}));
}

}  // namespace
}  // namespace holdfast::fs
