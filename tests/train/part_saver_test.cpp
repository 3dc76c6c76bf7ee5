#include "train/part_saver.h"

#include <cmath>
#include <limits>
#include <optional>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint_name.h"
#include "checkpoint/content_hash.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/reader.h"
#include "checkpoint/run_directory.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::train {
namespace {

using base::ErrorKind;
using testing::HasSubstr;

// Large enough that both ranks own parts of tensors, and not only padding.
model::ArenaLayout small_layout() {
    model::GptConfig config;
    config.n_layer = 1;
    config.n_head = 1;
    config.n_embd = 32;
    config.block_size = 16;
    config.vocab_size = 70;
    return {config, 2};
}

std::vector<optim::ElementRange> owned_by(const model::ArenaLayout& layout, std::int64_t rank) {
    std::vector<optim::ElementRange> owned;
    for (const model::ArenaBucket& bucket : layout.buckets()) {
        const std::int64_t piece = (bucket.end - bucket.begin) / 2;
        owned.push_back({bucket.begin + rank * piece, bucket.begin + (rank + 1) * piece});
    }
    return owned;
}

state::LiveTensors live_tensors(const model::ArenaLayout& layout,
                                std::int64_t owned_elements,
                                double value) {
    return {at::full({layout.element_count()}, value, at::kFloat),
            at::full({owned_elements}, value * 2, at::kFloat),
            at::full({owned_elements}, value * 3, at::kFloat),
            at::full({}, 4, at::kLong)};
}

// Rank 1 of two with its saver; the test speaks for rank 0.
class PartSaverOfRank1 : public testing::Test {
protected:
    PartSaverOfRank1() {
        store_ =
            dist::RankStore::open({.host = "127.0.0.1", .port = 0, .serves = true, .token = "test"})
                .value();
        saver_.emplace(fs::real_file_system(),
                       snapshot_,
                       RankShare{.rank = 1, .ranks = 2},
                       store_->connect_again().value());
    }

    void capture(std::int64_t ticket, double value) {
        saver_->capture(ticket, [&] {
            snapshot_.capture(live_tensors(layout_, layout_.element_count() / 2, value));
        });
    }
    base::Result<PartAnswer> ask(const PartOrder& order) {
        EXPECT_TRUE(store_->set(part_order_key(++number_), print_part_order(order)).ok());
        const auto text = store_->get(part_answer_key(number_, 1), 30);
        return text.ok() ? parse_part_answer(text.value(), 1)
                         : base::Result<PartAnswer>(text.error());
    }

    TemporaryDirectory temporary_;
    model::ArenaLayout layout_ = small_layout();
    state::Snapshot snapshot_{layout_, owned_by(layout_, 1), at::kCPU};
    std::unique_ptr<dist::RankStore> store_;
    std::optional<PartSaver> saver_;
    std::int64_t number_ = 0;
};

TEST_F(PartSaverOfRank1, AScanTellsTheFirstNumberThatIsNotFinite) {
    capture(1, 1.0);
    EXPECT_EQ(ask({PartOrderKind::kScan, 1, ""}).value().poison, "");
    capture(2, std::numeric_limits<double>::quiet_NaN());
    EXPECT_THAT(ask({PartOrderKind::kScan, 2, ""}).value().poison, HasSubstr("nan"));
}

TEST_F(PartSaverOfRank1, ASnapshotThatWasTakenOverIsNotWrittenForTheOlder) {
    capture(1, 1.0);
    capture(2, 2.0);
    const auto answer = ask({PartOrderKind::kScan, 1, ""});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().kind, ErrorKind::kBusy);
    EXPECT_THAT(answer.error().what, HasSubstr("number 2, number 1"));
}

TEST_F(PartSaverOfRank1, AnOrderThatComesBeforeItsCaptureWaitsForIt) {
    ASSERT_TRUE(
        store_->set(part_order_key(++number_), print_part_order({PartOrderKind::kScan, 1, ""}))
            .ok());
    EXPECT_FALSE(store_->get(part_answer_key(number_, 1), 0.3).ok());
    capture(1, 1.0);
    EXPECT_TRUE(store_->get(part_answer_key(number_, 1), 30).ok());
}

TEST_F(PartSaverOfRank1, AFailureIsAnsweredAndTheNextOrderServed) {
    capture(1, 1.0);
    const auto answer = ask({PartOrderKind::kWrite, 1, temporary_ / ".pending-0123456789abcdef"});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().kind, ErrorKind::kNotFound);
    EXPECT_THAT(answer.error().what, HasSubstr("rank 1"));
    EXPECT_TRUE(ask({PartOrderKind::kScan, 1, ""}).ok());
}

TEST_F(PartSaverOfRank1, TwoRanksWriteTheCheckpointThatOneRankWould) {
    fs::FileSystem& file_system = fs::real_file_system();
    checkpoint::TransferBuffers buffers;
    checkpoint::OpenRunOptions options;
    options.resume = checkpoint::parse_resume_request("auto").value();
    options.directory = temporary_ / "run";
    options.differences = [](const checkpoint::RunIdentity&) { return std::vector<std::string>(); };
    auto opened = checkpoint::open_run(file_system, options, buffers).value();
    const auto publish = [&](bool by_two, std::int64_t step) {
        checkpoint::Manifest manifest;
        manifest.run_id = opened.run.identity().run_id;
        manifest.identity = {.lineage = 1, .step = step, .save_id = checkpoint::make_save_id()};
        auto pending = opened.run.begin_save(manifest.identity.save_id, 1 << 20, buffers).value();
        state::Snapshot mine(layout_,
                             by_two
                                 ? owned_by(layout_, 0)
                                 : std::vector<optim::ElementRange>{{0, layout_.element_count()}},
                             at::kCPU);
        mine.capture(live_tensors(
            layout_, by_two ? layout_.element_count() / 2 : layout_.element_count(), 1.0));
        if (by_two) {
            EXPECT_TRUE(
                pending
                    .create_shared(checkpoint::kModelFileName, tensor_infos(mine.model_tensors()))
                    .ok());
            const auto first =
                write_rank_part(file_system, pending.directory(), {0, 2}, mine, buffers);
            EXPECT_TRUE(first.ok()) << first.error().what;
            const auto second = ask({PartOrderKind::kWrite, 1, pending.directory()});
            EXPECT_TRUE(second.ok()) << second.error().what;
            const std::vector<checkpoint::PartRecord> parts = {first.value(),
                                                               second.value().record};
            const base::Status adopted = pending.adopt(parts);
            EXPECT_TRUE(adopted.ok()) << adopted.error().what;
        } else {
            for (const auto& [name, tensors] :
                 {std::pair{std::string(checkpoint::kModelFileName), mine.model_tensors()},
                  std::pair{checkpoint::optimizer_file_name(1, 1), mine.optimizer_tensors()}}) {
                std::vector<checkpoint::TensorSource> sources;
                for (const state::TensorBytes& tensor : tensors) {
                    sources.push_back({{tensor.name, tensor.dtype, tensor.shape}, tensor.bytes});
                }
                EXPECT_TRUE(pending.add(name, sources).ok());
            }
        }
        EXPECT_TRUE(pending.seal(manifest).ok());
        return opened.run.publish(std::move(pending), checkpoint::Pool::kRolling, buffers).value();
    };
    capture(1, 1.0);
    const auto by_two = publish(true, 5);
    const auto by_one = publish(false, 5);
    const auto hash = [&](const std::string& path) {
        auto reader = checkpoint::Reader::open(file_system, path).value();
        EXPECT_TRUE(reader.verify(2).ok());
        return checkpoint::content_hash(reader).value();
    };
    EXPECT_EQ(hash(by_two.path), hash(by_one.path));
}

}  // namespace
}  // namespace holdfast::train
