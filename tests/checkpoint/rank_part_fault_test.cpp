// Method: the part of one rank is a sequence of N calls over the seam. For k = 1..N the k-th call
// fails, once or from then on, with each of the errors a disk knows, is cut short, or is where the
// rank dies. The rank that publishes, whose disk is well, either gets the failure, drops the save
// and finds its store unchanged; or it gets an answer, and what it publishes is whole. The same for
// the side of the rank that publishes, with the ranks well.
#include <gmock/gmock.h>

#include "parted_fixture.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kStride = 5;
#else
constexpr std::uint64_t kStride = 1;
#endif

struct Trouble {
    const char* name;
    fs::Fault fault;
    bool must_not_be_noticed = false;
};

void PrintTo(const Trouble& trouble, std::ostream* out) {
    *out << trouble.name;
}

class PartFault : public PartedFixture, public ::testing::WithParamInterface<Trouble> {
protected:
    PartFault() : PartedFixture(Place::kMemory) {
        sick_.let_syncs_reach_disk(false);
        opened_.emplace(open().value());
        EXPECT_TRUE(save_parts(opened_->run, parted_, 1).ok());
        expected_ = hash_of(save_parts(opened_->run, parted_, 7).value().path);
        std::filesystem::remove_all(in_run("rolling/step_00000007"));
    }

    // Rank 1 has the sick disk, or the rank that publishes (for what it does besides its own part).
    base::Result<PublishedCheckpoint> save_with(bool rank_is_sick, const fs::Fault& fault) {
        fs::FileSystem& publishers = rank_is_sick ? *file_system_ : sick_disk_;
        sick_.disarm();
        if (!rank_is_sick) {
            sick_.arm(fault);
        }
        base::Result<PendingSave> begun = PendingSave::open(
            publishers, opened_->run.paths(), make_save_id(), kTinyBytes, shared_buffers());
        if (!begun.ok()) {
            return begun.error();
        }
        PendingSave save = std::move(begun).value();
        if (const auto layout = save.create_shared(kModelFileName, infos_of(state_.model()));
            !layout.ok()) {
            return layout.error();
        }
        std::vector<PartRecord> parts;
        for (const std::int64_t rank : {0, 1}) {
            const bool is_sick = rank_is_sick && rank == 1;
            if (is_sick) {
                sick_.arm(fault);
            }
            const auto part = write_part(is_sick ? sick_disk_ : *file_system_,
                                         save.directory(),
                                         parted_,
                                         rank,
                                         shared_buffers());
            if (!part.ok()) {
                return part.error();
            }
            parts.push_back(part.value());
        }
        base::Status status = save.adopt(parts);
        Manifest manifest = manifest_of(opened_->run, 7);
        manifest.identity.save_id = save.save_id();
        if (status.ok()) {
            status = save.seal(std::move(manifest));
        }
        if (!status.ok()) {
            return status.error();
        }
        return std::move(save).publish(Pool::kRolling);
    }

    // Answers the number of faults that happened.
    std::uint64_t sweep(bool rank_is_sick) {
        std::uint64_t faults = 0;
        fs::Fault fault = GetParam().fault;
        for (std::uint64_t k = 1;; k += kStride) {
            SCOPED_TRACE(k);
            fault.at_call = k;
            const auto published = save_with(rank_is_sick, fault);
            const bool fired = sick_.fired();
            const bool was_left = sick_.fired() && fault.crash;
            sick_.disarm();
            if (published.ok()) {
                EXPECT_EQ(hash_of(published.value().path), expected_);
                std::filesystem::remove_all(published.value().path);
            } else {
                EXPECT_TRUE(fired) << published.error().what;
                EXPECT_FALSE(GetParam().must_not_be_noticed) << published.error().what;
            }
            // Who is dead, or whose disk refuses for ever, clears nothing up.
            if (rank_is_sick || (!was_left && !fault.for_ever)) {
                EXPECT_LE(pending_directories().size(), rank_is_sick ? 0U : 1U);
            }
            clear_up();
            EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001"));
            if (!fired || HasFailure()) {
                return faults;
            }
            ++faults;
        }
    }
    // As the next opening does.
    void clear_up() {
        static_cast<void>(opened_->run.tidy({}, shared_buffers()));
        EXPECT_THAT(pending_directories(), IsEmpty());
        for (const Entry& entry : opened_->run.scan().entries) {
            // Published, and then the disk failed: whole or not there.
            EXPECT_TRUE(entry.usable()) << entry.label() << ' ' << entry.why;
            if (entry.manifest.identity.step == 7) {
                EXPECT_EQ(hash_of(entry.path), expected_);
                std::filesystem::remove_all(entry.path);
            }
        }
    }

    fs::FaultFileSystem sick_{fs::real_file_system()};
    fs::RestartingFileSystem sick_restarting_{sick_};
    fs::FileSystem& sick_disk_ = sick_restarting_;
    const LayeredState state_{7};
    const PartedState parted_ = state_.evenly(2);
    std::optional<OpenedRun> opened_;
    std::string expected_;
};

TEST_P(PartFault, P6_OfARankIsAFailedSaveOrNone) {
    EXPECT_GT(sweep(true), 20U / kStride) << "the sweep must have hit something";
}

TEST_P(PartFault, P6_OfTheOneThatPublishesIsAFailedSaveOrNone) {
    EXPECT_GT(sweep(false), 15U / kStride) << "the sweep must have hit something";
}

INSTANTIATE_TEST_SUITE_P(
    Sweep,
    PartFault,
    ::testing::Values(Trouble{"CrashAt", {.crash = true}},
                      Trouble{"IoErrorOnce", {.os_errno = EIO}},
                      Trouble{"IoErrorForEver", {.os_errno = EIO, .for_ever = true}},
                      Trouble{"FullOnce", {.os_errno = ENOSPC}},
                      Trouble{"FullForEver", {.os_errno = ENOSPC, .for_ever = true}},
                      Trouble{"StaleOnce", {.os_errno = ESTALE}},
                      Trouble{"RefusedForEver", {.os_errno = EACCES, .for_ever = true}},
                      Trouble{"QuotaOnce", {.os_errno = EDQUOT}},
                      Trouble{"InterruptedOnce", {.os_errno = EINTR}, true},
                      Trouble{"ShortOnce", {.short_write = true}, true}),
    [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace holdfast::checkpoint
