#include "train/remote_file_system.h"

#include <cerrno>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint_name.h"
#include "checkpoint/tensor_file.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"
#include "train/file_message.h"
#include "train/file_service.h"

namespace holdfast::train {
namespace {

using base::ErrorKind;
using testing::HasSubstr;

// Rank 0 serves the disk of the test to rank 1; both are threads of it.
class RemoteFileSystemTest : public testing::Test {
protected:
    RemoteFileSystemTest() {
        EXPECT_TRUE(fs::real_file_system().make_directory(pending_).ok());
        EXPECT_TRUE(fs::real_file_system().make_directory(temporary_ / "rolling").ok());
    }

    // Calls `work` as rank 1.
    void as_rank_1(const std::function<void(RemoteFileSystem&)>& work) {
        const auto bound = dist::bind_socket("127.0.0.1", 0);
        ASSERT_TRUE(bound.ok());
        const auto join = [&](int rank, const std::function<void(dist::ByteChannel&)>& then) {
            const auto store =
                dist::RankStore::open({.host = "127.0.0.1",
                                       .port = bound.value().port,
                                       .serves = rank == 0,
                                       .listen_fd = rank == 0 ? bound.value().fd : -1,
                                       .token = "test"});
            ASSERT_TRUE(store.ok()) << store.error().what;
            const auto channel = dist::ByteChannel::form(
                *store.value(), {.shape = {.rank = rank, .size = 2, .local_size = 1}});
            ASSERT_TRUE(channel.ok()) << channel.error().what;
            then(*channel.value());
            // The store's server leaves last.
            ASSERT_TRUE(store.value()->add("left", 1).ok());
            while (rank == 0 && store.value()->add("left", 0).value() < 2) {
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
        };
        std::thread other([&] {
            join(1, [&](dist::ByteChannel& channel) {
                RemoteFileSystem remote(channel);
                work(remote);
                done_.store(true);
                done_.notify_all();
            });
        });
        const checkpoint::AlignedBuffer buffer(dist::ByteChannel::kBodyBytesMax);
        join(0, [&](dist::ByteChannel& channel) {
            channel.serve(buffer.bytes(), [&](int rank, auto head, auto bytes, auto count) {
                return service_.answer(rank, head, bytes, count);
            });
            done_.wait(false);
        });
        other.join();
    }

    TemporaryDirectory temporary_;
    std::string pending_ = temporary_ / ".pending-00000000000000ab";
    FileService service_{fs::real_file_system(), temporary_.path()};
    std::atomic<bool> done_{false};
};

TEST_F(RemoteFileSystemTest, WritesTheBytesThatADiskOfItsOwnWouldGet) {
    // Longer than a message, and of a length that is no multiple of anything.
    std::vector<float> numbers(5'000'001);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = static_cast<float>(i);
    }
    const std::vector<checkpoint::TensorSource> tensors = {
        {{"t", "F32", {static_cast<std::int64_t>(numbers.size())}},
         std::as_bytes(std::span(numbers))}};
    const auto write = [&](fs::FileSystem& files, const std::string& name) {
        checkpoint::TransferBuffers buffers;
        return checkpoint::write_tensor_file(files,
                                             pending_,
                                             name,
                                             tensors,
                                             {{"format", "pt"}},
                                             checkpoint::HeaderChunk::kOwn,
                                             buffers);
    };
    const auto own = write(fs::real_file_system(), "own.safetensors");
    ASSERT_TRUE(own.ok()) << own.error().what;
    as_rank_1([&](RemoteFileSystem& remote) {
        const auto far = write(remote, "far.safetensors");
        ASSERT_TRUE(far.ok()) << far.error().what;
        EXPECT_EQ(far.value().record.bytes, own.value().record.bytes);
        EXPECT_EQ(far.value().record.checksum, own.value().record.checksum);
        EXPECT_EQ(far.value().readback, own.value().readback);
        EXPECT_TRUE(remote.sync_directory(pending_).ok());
    });
    const auto read = [&](const char* name) {
        return fs::read_file(fs::real_file_system(), fs::join(pending_, name), 1U << 30U).value();
    };
    EXPECT_TRUE(read("far.safetensors") == read("own.safetensors"));
}

TEST_F(RemoteFileSystemTest, ErrorsKeepTheirKindAndNumber) {
    as_rank_1([&](RemoteFileSystem& remote) {
        const auto missing = remote.open(fs::join(pending_, "no.safetensors"), {});
        ASSERT_FALSE(missing.ok());
        EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
        EXPECT_EQ(missing.error().os_errno, ENOENT);
        EXPECT_THAT(missing.error().what, HasSubstr("rank 0: "));
        EXPECT_EQ(remote.status(fs::join(pending_, "no.safetensors")).error().os_errno, ENOENT);
    });
}

TEST_F(RemoteFileSystemTest, OnlyAPendingSaveIsWrittenAndOnlyWhatIsAllowedIsRead) {
    const std::string entry = temporary_ / "rolling/step_00000001";
    ASSERT_TRUE(fs::real_file_system().make_directory(entry).ok());
    ASSERT_TRUE(fs::replace_file(fs::real_file_system(), entry + "/checkpoint.json", "x").ok());
    as_rank_1([&](RemoteFileSystem& remote) {
        const fs::OpenOptions make{.mode = fs::OpenMode::kCreateNew};
        for (const std::string& path : {temporary_ / "metrics.jsonl",
                                        entry + "/model.safetensors",
                                        pending_,
                                        pending_ + "/../metrics.jsonl",
                                        pending_ + "/..",
                                        std::string("/etc/passwd"),
                                        std::string()}) {
            const auto made = remote.open(path, make);
            ASSERT_FALSE(made.ok()) << path;
            EXPECT_EQ(made.error().kind, ErrorKind::kInvalid) << path;
            EXPECT_FALSE(remote.remove_file(path).ok()) << path;
        }
        EXPECT_FALSE(remote.open(entry + "/checkpoint.json", {}).ok());
        service_.allow(entry);
        EXPECT_TRUE(remote.open(entry + "/checkpoint.json", {}).ok());
        EXPECT_FALSE(remote.open(entry + "/checkpoint.json", make).ok());
        EXPECT_FALSE(remote.remove_file(entry + "/checkpoint.json").ok());
        EXPECT_FALSE(remote.sync_directory(temporary_.path()).ok());
    });
    EXPECT_TRUE(fs::exists(fs::real_file_system(), entry + "/checkpoint.json").value());
}

TEST_F(RemoteFileSystemTest, AFileThatIsNotOpenIsNotTouched) {
    std::vector<std::byte> buffer(dist::ByteChannel::kBodyBytesMax);
    const auto ask = [&](int rank, const FileQuestion& question) {
        return parse_file_answer(
                   service_.answer(rank, print_file_question(question), buffer, 0).head)
            .value();
    };
    const FileAnswer made = ask(1,
                                {.call = FileCall::kOpen,
                                 .path = pending_ + "/a",
                                 .options = {.mode = fs::OpenMode::kCreateNew}});
    ASSERT_TRUE(made.status.ok());
    EXPECT_TRUE(ask(1, {.call = FileCall::kSync, .file = made.file}).status.ok());
    EXPECT_FALSE(ask(2, {.call = FileCall::kSync, .file = made.file}).status.ok()) << "rank 1's";
    EXPECT_FALSE(ask(1, {.call = FileCall::kSync, .file = made.file + 1}).status.ok());
    const FileAnswer long_read = ask(
        1, {.call = FileCall::kRead, .file = made.file, .bytes = (std::uint64_t{16} << 20U) + 1});
    EXPECT_FALSE(long_read.status.ok());
    EXPECT_TRUE(ask(1, {.call = FileCall::kClose, .file = made.file}).status.ok());
    EXPECT_FALSE(ask(1, {.call = FileCall::kSync, .file = made.file}).status.ok());
}

TEST(FileMessage, WhatIsNoMessageIsNotUnderstood) {
    const std::string good =
        print_file_question({.call = FileCall::kWrite, .path = "a", .file = 3});
    ASSERT_TRUE(parse_file_question(good).ok());
    EXPECT_EQ(parse_file_question(good).value().file, 3);
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_FALSE(parse_file_question(good.substr(0, length)).ok()) << length;
        EXPECT_FALSE(parse_file_answer(good.substr(0, length)).ok()) << length;
    }
    for (const char* text : {"[]", "{}", "1", R"({"call":99})", R"({"call":-1,"path":"a"})"}) {
        EXPECT_FALSE(parse_file_question(text).ok()) << text;
        EXPECT_FALSE(parse_file_answer(text).ok()) << text;
    }
}

TEST(FileMessage, AnErrorOfAnyLengthFitsAMessage) {
    const FileAnswer failed{
        .status = base::Error{ErrorKind::kIo, std::string(100'000, '\x01'), EIO},
        .file_status = {}};
    const std::string text = print_file_answer(failed);
    EXPECT_LT(text.size(), dist::ByteChannel::kHeadBytesMax);
    const auto answer = parse_file_answer(text);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer.value().status.error().os_errno, EIO);
}

}  // namespace
}  // namespace holdfast::train
