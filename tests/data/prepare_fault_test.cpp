// prepare() killed at every single call it makes to the disk: what is there afterwards is nothing,
// the dataset that was, or the new one, and the next call gives the same bytes as a call never
// killed.
#include <filesystem>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "data/dying_file_system.h"
#include "data/prepare.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

constexpr std::uint64_t kNever = ~std::uint64_t{0};

class PrepareKilledTest : public testing::Test {
protected:
    PrepareKilledTest() {
        write("old.txt", "the old text\nof a few lines\nand no more\n");
        write("new.txt", "the new text\nwhich is another\nand longer than it was\n");
    }
    void write(const std::string& name, std::string_view bytes) {
        EXPECT_TRUE(fs::replace_file(real_, directory_ / name, bytes).ok());
    }
    PrepareOptions options(const std::string& input) {
        PrepareOptions given;
        given.inputs = {directory_ / input};
        given.out_dir = directory_ / "out";
        given.tokenizer = "bytes";
        given.val_fraction = 0.3;
        given.shard_tokens_max = 24;
        given.threads = 1;
        given.overwrite = true;
        return given;
    }
    // "" when there is no folder or an empty one; else its files, each checked against the sidecar.
    std::string out_bytes() {
        const std::string out = directory_ / "out";
        if (!fs::exists(real_, out).value() || real_.list(out).value().empty()) {
            return "";
        }
        const auto sidecar = read_sidecar(real_, out);
        EXPECT_TRUE(sidecar.ok()) << sidecar.error().what;
        std::string all = sidecar.ok() ? to_json(sidecar.value()) : "";
        std::size_t files = 1;
        for (const DatasetSplit* split : {&sidecar.value().train, &sidecar.value().val}) {
            for (const ShardSummary& shard : split->shards) {
                const auto bytes = fs::read_file(real_, fs::join(out, shard.name), 1U << 20U);
                EXPECT_TRUE(bytes.ok());
                EXPECT_EQ(base::checksum64(bytes.value()), shard.checksum);
                all += bytes.value();
                ++files;
            }
        }
        EXPECT_EQ(real_.list(out).value().size(), files);
        return all;
    }
    void remove_out() {
        for (const char* name : {"out", "out.preparing", "out.replaced"}) {
            std::filesystem::remove_all(directory_ / name);
        }
    }

    const TemporaryDirectory directory_;
    fs::FileSystem& real_ = fs::real_file_system();
};

TEST_F(PrepareKilledTest, LeavesNothingOrAllOfIt) {
    DyingFileSystem counting(real_, kNever);
    ASSERT_TRUE(prepare(counting, options("new.txt")).ok());
    const std::string whole = out_bytes();
    ASSERT_GT(counting.call_count(), 40U);
    for (std::uint64_t call = 1; call <= counting.call_count(); ++call) {
        remove_out();
        DyingFileSystem dying(real_, call);
        const auto killed = prepare(dying, options("new.txt"));
        EXPECT_FALSE(killed.ok()) << call;
        const std::string left = out_bytes();
        EXPECT_TRUE(left.empty() || left == whole) << call;
        const auto again = prepare(real_, options("new.txt"));
        ASSERT_TRUE(again.ok()) << call << ": " << again.error().what;
        EXPECT_EQ(out_bytes(), whole) << call;
        EXPECT_FALSE(fs::exists(real_, directory_ / "out.preparing").value()) << call;
    }
}

TEST_F(PrepareKilledTest, WhileReplacingKeepsTheOldUntilTheNewIsThere) {
    ASSERT_TRUE(prepare(real_, options("old.txt")).ok());
    const std::string old_bytes = out_bytes();
    DyingFileSystem counting(real_, kNever);
    ASSERT_TRUE(prepare(counting, options("new.txt")).ok());
    const std::string new_bytes = out_bytes();
    ASSERT_NE(old_bytes, new_bytes);
    for (std::uint64_t call = 1; call <= counting.call_count(); ++call) {
        remove_out();
        ASSERT_TRUE(prepare(real_, options("old.txt")).ok());
        DyingFileSystem dying(real_, call);
        static_cast<void>(prepare(dying, options("new.txt")).ok());
        const std::string left = out_bytes();
        EXPECT_TRUE(left.empty() || left == old_bytes || left == new_bytes) << call;
        // Asking for the old one again finds it, in its place or put back there, or the new one
        // finished: nothing was lost between them.
        PrepareOptions keep = options("old.txt");
        keep.overwrite = false;
        const auto again = prepare(real_, keep);
        const std::string found = out_bytes();
        if (left == new_bytes) {
            EXPECT_FALSE(again.ok()) << call;
            EXPECT_EQ(found, new_bytes) << call;
        } else {
            ASSERT_TRUE(again.ok()) << call << ": " << again.error().what;
            EXPECT_TRUE(again.value().already_prepared) << call;
            EXPECT_EQ(found, old_bytes) << call;
        }
        EXPECT_FALSE(fs::exists(real_, directory_ / "out.replaced").value()) << call;
    }
}

TEST_F(PrepareKilledTest, TwoAtOnceAreTold) {
    ASSERT_TRUE(real_.make_directory(directory_ / "out.preparing").ok());
    auto lock =
        real_.open(directory_ / "out.preparing/lock", {.mode = fs::OpenMode::kOpenOrCreate});
    ASSERT_TRUE(lock.ok());
    ASSERT_TRUE(lock.value()->lock_exclusive().ok());
    const auto refused = prepare(real_, options("new.txt"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, base::ErrorKind::kBusy);
}

}  // namespace
}  // namespace holdfast::data
