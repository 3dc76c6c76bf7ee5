// Method: a save with an owed pool, `latest` and a retention pass is one sequence of N calls over
// the seam. For k = 1..N the k-th call fails (once, for ever, as a short write) or is where the
// process dies; then the run is opened again. Each time: there is a newest valid checkpoint not
// older than the last one published, it loads to the right bytes, and what was there before is
// unhurt.

#include <gmock/gmock.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

class StoreFault : public RunFixture {
protected:
    explicit StoreFault(Place place = Place::kMemory) : RunFixture(place) {
        const auto opened = open();
        for (const std::int64_t step : {0, 250, 500}) {
            EXPECT_TRUE(save(opened.value().run, step).ok());
        }
        EXPECT_TRUE(opened.value()
                        .run.link(published_500(opened.value().run), Pool::kBest, shared_buffers())
                        .ok());
        std::filesystem::copy(dir_, pristine_, kCopyAll);
    }

    PublishedCheckpoint published_500(const RunDirectory& run) const {
        for (const Entry& entry : run.scan().entries) {
            if (entry.manifest.identity.step == 500) {
                return {entry.pool, entry.name, entry.path, entry.manifest};
            }
        }
        return {};
    }

    // The sequence under test; whether the save of 750 was published.
    bool save_and_tidy(const RunDirectory& run) {
        const bool published = save(run, 750, Pool::kRolling, {Pool::kKeep}).ok();
        if (published) {
            static_cast<void>(run.tidy({.keep_rolling = 2}, shared_buffers()));
        }
        return published;
    }

    void restore_pristine() const {
        std::filesystem::remove_all(dir_);
        std::filesystem::copy(pristine_, dir_, kCopyAll);
    }

    // What must hold after anything, for a trainer that starts again.
    void expect_sound(std::uint64_t k, bool published) {
        faults_.disarm();
        const auto opened = open();
        ASSERT_TRUE(opened.ok()) << k << ": " << opened.error().what;
        TinyState state;
        const auto resumed =
            resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
        ASSERT_TRUE(resumed.ok()) << k << ": " << resumed.error().what;
        const std::int64_t step = resumed.value().entry.manifest.identity.step;
        ASSERT_TRUE(step == 750 || (step == 500 && !published)) << k << ": resumed at " << step;
        ASSERT_EQ(state, TinyState::of_step(step)) << k;
        ASSERT_TRUE(resumed.value().fallbacks.empty()) << k;
        // Everything that is left is whole; nothing half-made shows.
        for (const Entry& entry : opened.value().run.scan().entries) {
            ASSERT_TRUE(entry.usable()) << k << ": " << entry.label() << ' ' << entry.why;
            auto reader = Reader::open(*file_system_, entry.path);
            ASSERT_TRUE(reader.ok() && reader.value().verify(1).ok()) << k << ' ' << entry.label();
        }
        // Retention has not gone below its floor, nor touched another pool.
        const auto names = labels();
        EXPECT_THAT(names, ::testing::Contains("best/step_00000500")) << k;
        EXPECT_THAT(names, ::testing::Contains("rolling/step_00000500")) << k;
        if (step == 500) {
            EXPECT_THAT(
                names, ::testing::IsSupersetOf({"rolling/step_00000000", "rolling/step_00000250"}));
        } else {
            EXPECT_THAT(names, ::testing::Contains("keep/step_00000750")) << k << ": owed";
        }
        for (const auto& leftover : std::filesystem::directory_iterator(dir_)) {
            EXPECT_FALSE(parse_pending_name(leftover.path().filename().string())) << k;
        }
        EXPECT_TRUE(std::filesystem::is_empty(in_run(".trash"))) << k;
    }

    // Runs the sequence once per k until the fault does not happen any more.
    void sweep(fs::Fault fault, std::uint64_t stride = 1) {
        for (std::uint64_t k = 1;; k += stride) {
            SCOPED_TRACE(k);
            restore_pristine();
            bool fired = false;
            {
                const auto opened = open();
                ASSERT_TRUE(opened.ok());
                fault.at_call = k;
                faults_.arm(fault);
                const bool published = save_and_tidy(opened.value().run);
                fired = faults_.fired();
                faults_.disarm();
                published_ = published;
            }
            expect_sound(k, published_);
            if (HasFatalFailure() || !fired) {
                EXPECT_GT(k, 1U) << "the sweep must have hit something";
                return;
            }
            ASSERT_LT(k, 2000U);
        }
    }

    static constexpr auto kCopyAll =
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks;
    const std::string pristine_ = dir_ + "_pristine";
    bool published_ = false;
};

TEST_F(StoreFault, P1_CrashAtAnyCallLeavesAValidLatest) {
    sweep({.crash = true});
}

// The same where O_DIRECT writes are real.
class StoreFaultOnDisk : public StoreFault {
protected:
    StoreFaultOnDisk() : StoreFault(Place::kDisk) {}
};

TEST_F(StoreFaultOnDisk, P1_CrashAtAnyWriteLeavesAValidLatest) {
    sweep({.operation = fs::Operation::kWrite, .crash = true});
}

TEST_F(StoreFault, P6_OneFailedCallNeverHurtsAnOlderCheckpoint) {
    sweep({.os_errno = EIO});
}

TEST_F(StoreFault, P6_AFullDiskNeverHurtsAnOlderCheckpoint) {
    for (const auto operation : {fs::Operation::kWrite,
                                 fs::Operation::kReserve,
                                 fs::Operation::kMakeDirectory,
                                 fs::Operation::kHardLink}) {
        sweep({.operation = operation, .os_errno = ENOSPC, .for_ever = true});
    }
}

TEST_F(StoreFault, P6_AFailedSyncIsAFailedSave) {
    for (std::uint64_t k = 1; k <= 3; ++k) {
        restore_pristine();
        {
            const auto opened = open();
            faults_.arm({.at_call = k, .operation = fs::Operation::kSync, .os_errno = EIO});
            EXPECT_FALSE(save(opened.value().run, 750).ok());
            EXPECT_TRUE(faults_.fired());
            faults_.disarm();
            // Written anew from memory under a new id, at once.
            EXPECT_TRUE(save(opened.value().run, 750, Pool::kRolling, {Pool::kKeep}).ok());
        }
        expect_sound(k, true);
    }
}

TEST_F(StoreFault, P1_AFailedSyncOfTheNameTakesTheEntryBack) {
    const auto opened = open();
    faults_.arm(
        {.operation = fs::Operation::kSyncDirectory, .path_part = "rolling", .os_errno = EIO});
    EXPECT_FALSE(save(opened.value().run, 750).ok());
    EXPECT_TRUE(faults_.fired());
    EXPECT_THAT(labels(), ::testing::Not(::testing::Contains("rolling/step_00000750")));
}

TEST_F(StoreFault, ShortWritesAreCompleted) {
    sweep({.operation = fs::Operation::kWrite, .short_write = true});
}

TEST_F(StoreFault, P6_WhatComesBackOtherThanWrittenFailsTheSave) {
    // The bytes change between the write and the reading back: what a bad cable does.
    class Flipping : public fs::FaultFileSystem {
    public:
        using FaultFileSystem::FaultFileSystem;
        base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                     const fs::OpenOptions& options) override {
            if (!flipped_ && options.mode == fs::OpenMode::kRead &&
                path.find("pending") != std::string::npos && path.ends_with("model.safetensors")) {
                flip_bit(path, 4200);
                flipped_ = true;
            }
            return FaultFileSystem::open(path, options);
        }

    private:
        bool flipped_ = false;
    };
    const auto opened = open();
    Flipping flipping(fs::real_file_system());
    auto pending = sealed_save(
        PendingSave::open(
            flipping, opened.value().run.paths(), make_save_id(), kTinyBytes, shared_buffers()),
        tiny_manifest(opened.value().run.identity().run_id, 750));
    ASSERT_FALSE(pending.ok());
    EXPECT_EQ(pending.error().kind, base::ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace holdfast::checkpoint
