// Method: three checkpoints of three pages of tensors, in files whose chunks are cut so that their
// borders fall into header, padding and data. The newest is damaged in every way a disk, a copy or
// a person can: every bit of every byte, every length, every page, files exchanged, missing,
// replaced. Each time the damage is found before a byte is handed on, the next older one comes back
// with the right bytes, the steps lost are counted right, and one line tells.
//
// Every bit is read against; the way back is walked for a bit of every second byte, or with
// HOLDFAST_FULL_SWEEP=1 for every bit.

#include <sys/stat.h>

#include <gmock/gmock.h>

#include "damage_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::HasSubstr;

constexpr std::size_t kStrideBack = 17;  // bits: every second byte, another bit each time
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kBitStride = 61;
#else
constexpr std::size_t kBitStride = 1;
#endif

class DamageOfFile : public DamageSweep, public ::testing::WithParamInterface<const char*> {};

TEST_P(DamageOfFile, P1_EveryFlippedBitIsDetected) {
    const std::string entry = in_run("rolling/step_00000500");
    const std::string path = entry + '/' + GetParam();
    const std::string sound = slurp(path);
    const PagedState right = PagedState::of_step(500);
    for (std::size_t bit = 0; bit < 8 * sound.size(); bit += kBitStride) {
        const std::size_t i = bit / 8;
        poke(path, i, static_cast<char>(static_cast<unsigned char>(sound[i]) ^ (1U << bit % 8)));
        expect_detected(entry, right);
        ASSERT_FALSE(HasFatalFailure()) << "byte " << i << " bit " << bit % 8;
        poke(path, i, sound[i]);
        ++tried_;
    }
    PagedState state;
    EXPECT_TRUE(load_newest(*file_system_, dir_, load_paged(state)).ok());
    print_count("bits");
}

TEST_P(DamageOfFile, P1_FlippedBitsFallBackToTheOneBefore) {
    const std::string path = in_run("rolling/step_00000500/") + GetParam();
    const std::string sound = slurp(path);
    const bool full = std::getenv("HOLDFAST_FULL_SWEEP") != nullptr;
    for (std::size_t bit = 0; bit < 8 * sound.size(); bit += full ? 1 : kStrideBack * kBitStride) {
        const std::size_t i = bit / 8;
        poke(path, i, static_cast<char>(static_cast<unsigned char>(sound[i]) ^ (1U << bit % 8)));
        lines_.clear();
        PagedState state;
        const auto loaded = load_newest(*file_system_, dir_, load_paged(state));
        ASSERT_TRUE(loaded.ok()) << i << ": " << loaded.error().what;
        ASSERT_EQ(state, PagedState::of_step(250)) << i;
        ASSERT_EQ(loaded.value().steps_lost, 250) << i;
        expect_told(250);
        ASSERT_FALSE(HasFatalFailure()) << "byte " << i << " bit " << bit % 8;
        poke(path, i, sound[i]);
        ++tried_;
    }
    print_count("bits");
}

TEST_P(DamageOfFile, P1_EveryLengthIsDetected) {
    const std::string entry = in_run("rolling/step_00000500");
    const std::string path = entry + '/' + GetParam();
    const std::string sound = slurp(path);
    for (std::size_t length = sound.size(); length-- > 0;) {
        if (length % kBitStride == 0) {
            std::filesystem::resize_file(path, length);
            expect_detected(entry, PagedState::of_step(500));
            ASSERT_FALSE(HasFatalFailure()) << length;
            ++tried_;
        }
    }
    for (const std::size_t more : {std::size_t{1}, kPage, std::size_t{3} * kPage}) {
        overwrite(path, sound + std::string(more, '\0'));
        expect_detected(entry, PagedState::of_step(500));
    }
    print_count("lengths");
}

TEST_P(DamageOfFile, P1_TornTailsAndPagesFallBack) {
    const char* file = GetParam();
    for (const std::size_t at : edges(in_run("rolling/step_00000500"), file)) {
        expect_fallback_of("cut at " + std::to_string(at), file, [&](const std::string& bytes) {
            return bytes.substr(0, at);
        });
        expect_fallback_of("zeros from " + std::to_string(at), file, [&](std::string bytes) {
            std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(), '\0');
            // Padding and zeros are the same zeros only where nothing else follows.
            return bytes;
        });
        ASSERT_FALSE(HasFailure());
    }
    const std::size_t pages =
        (slurp(in_run("rolling/step_00000500/") + file).size() + kPage - 1) / kPage;
    for (std::size_t page = 0; page < pages; ++page) {
        expect_fallback_of("page zeroed", file, [&](std::string bytes) {
            const std::size_t length = std::min(kPage, bytes.size() - page * kPage);
            return bytes.replace(page * kPage, length, length, '\0');
        });
        for (std::size_t from = 0; from < pages; ++from) {
            if (from != page && file != kManifest) {
                expect_fallback_of("page doubled", file, [&](std::string bytes) {
                    return bytes.replace(page * kPage, kPage, bytes.substr(from * kPage, kPage));
                });
            }
        }
        // The page of the checkpoint before, of the same place.
        expect_fallback_after(
            file + std::string(": page of the one before"), [&](const std::string& newest) {
                std::string bytes = slurp(newest + '/' + file);
                const std::string old = slurp(in_run("rolling/step_00000250/") + file);
                bytes.replace(page * kPage, kPage, old.substr(page * kPage, kPage));
                if (page == 0 && file != kManifest) {
                    bytes[0] ^= 1;  // headers are the same
                }
                write_new(newest + '/' + file, bytes);
            });
        ASSERT_FALSE(HasFailure());
    }
    print_count("fall-backs");
}

TEST_P(DamageOfFile, P1_AnythingElseInItsPlaceFallsBack) {
    const std::string name = GetParam();
    const std::vector<std::pair<std::string, Change>> changes{
        {"missing",
         [&](const std::string& newest) { std::filesystem::remove(newest + '/' + name); }},
        {"empty", [&](const std::string& newest) { write_new(newest + '/' + name, ""); }},
        {"a directory",
         [&](const std::string& newest) {
             std::filesystem::remove(newest + '/' + name);
             std::filesystem::create_directory(newest + '/' + name);
         }},
        {"a fifo",
         [&](const std::string& newest) {
             std::filesystem::remove(newest + '/' + name);
             ASSERT_EQ(::mkfifo((newest + '/' + name).c_str(), 0600), 0);
         }},
        {"a symlink to the right bytes",
         [&](const std::string& newest) {
             std::filesystem::rename(newest + '/' + name, in_run("moved"));
             std::filesystem::create_symlink("../../moved", newest + '/' + name);
         }},
        {"a symlink to nowhere",
         [&](const std::string& newest) {
             std::filesystem::remove(newest + '/' + name);
             std::filesystem::create_symlink("nowhere", newest + '/' + name);
         }},
        {"of the one before",
         [&](const std::string& newest) {
             write_new(newest + '/' + name, slurp(in_run("rolling/step_00000250/") + name));
         }},
    };
    for (const auto& [what, change] : changes) {
        expect_fallback_after(name + ' ' + what, change);
        ASSERT_FALSE(HasFailure());
    }
    print_count("fall-backs");
}

INSTANTIATE_TEST_SUITE_P(Damage,
                         DamageOfFile,
                         ::testing::Values(kModel, kOptimizer, kManifest),
                         [](const auto& instance) {
                             const std::string name = instance.param;
                             return name == kModel      ? "Model"
                                    : name == kManifest ? "Manifest"
                                                        : "Optimizer";
                         });

TEST_F(DamageSweep, P1_MixedFilesFallBack) {
    const std::string before = in_run("rolling/step_00000250/");
    const std::string foreign = other_ + "/rolling/step_00000500/";
    const auto take = [](const std::string& from, const char* name, const std::string& newest) {
        write_new(newest + '/' + name, slurp(from + name));
    };
    expect_fallback_after("tensors of the one before", [&](const std::string& newest) {
        take(before, kModel, newest);
        take(before, kOptimizer, newest);
    });
    expect_fallback_after("manifest of another run", [&](const std::string& newest) {
        std::string bytes = slurp(newest + '/' + kModel);
        bytes[kPage] ^= 1;  // the other run's tensors are not these
        write_new(newest + '/' + kModel, bytes);
        take(foreign, kManifest, newest);
    });
    expect_fallback_after("manifest of another run and step", [&](const std::string& newest) {
        take(other_ + "/rolling/step_00000250/", kManifest, newest);
    });
    expect_fallback_after("model and optimizer exchanged", [&](const std::string& newest) {
        std::filesystem::rename(newest + '/' + kModel, newest + "/x");
        std::filesystem::rename(newest + '/' + kOptimizer, newest + '/' + kModel);
        std::filesystem::rename(newest + "/x", newest + '/' + kOptimizer);
    });
    expect_fallback_after("one file more", [&](const std::string& newest) {
        write_new(newest + "/model-2.safetensors", "x");
    });
    for (const auto* name : {kModel, kOptimizer, kManifest}) {
        expect_fallback_after(
            std::string("exchanged between two: ") + name,
            [&](const std::string& newest) {
                const std::string bytes = slurp(newest + '/' + name);
                write_new(newest + '/' + name, slurp(before + name));
                write_new(before + name, bytes);
            },
            0);
    }
    print_count("fall-backs");
}

TEST_F(DamageSweep, P1_AnEntryThatIsNoDirectoryOfFilesFallsBack) {
    expect_fallback_after("empty", [](const std::string& newest) {
        std::filesystem::remove_all(newest);
        std::filesystem::create_directory(newest);
    });
    expect_fallback_after("a file", [](const std::string& newest) { write_new(newest, "x"); });
    expect_fallback_after("a fifo", [](const std::string& newest) {
        std::filesystem::remove_all(newest);
        ASSERT_EQ(::mkfifo(newest.c_str(), 0600), 0);
    });
    expect_fallback_after("a symlink to nowhere", [](const std::string& newest) {
        std::filesystem::remove_all(newest);
        std::filesystem::create_symlink("nowhere", newest);
    });
}

TEST_F(DamageSweep, P1_WhatCannotBeReadIsPassedOverAndStays) {
    for (const int code : {EIO, ESTALE, EACCES, EMFILE}) {
        for (const auto* part : {"", "/checkpoint.json", "/model", "/optimizer"}) {
            for (const auto operation :
                 {fs::Operation::kOpen, fs::Operation::kRead, fs::Operation::kStatus}) {
                SCOPED_TRACE(::testing::Message() << code << part);
                clone_store(pristine_, dir_);
                faults_.arm({.operation = operation,
                             .path_part = std::string("rolling/step_00000500") + part,
                             .os_errno = code,
                             .for_ever = true});
                expect_fallback(250, false);
                ASSERT_FALSE(HasFailure());
            }
        }
    }
}

TEST_F(DamageSweep, P1_StepsLostAreCountedInEveryLineage) {
    clone_store(pristine_, dir_);
    {
        auto opened = open("250");
        PagedState state;
        const auto resumed =
            resume_load(opened.value(), parse_resume_request("250").value(), load_paged(state));
        for (const std::int64_t step : {250, 260, 270}) {
            Manifest manifest = tiny_manifest(opened.value().run.identity().run_id, step);
            begin_lineage(manifest, resumed.value().entry.manifest, 2);
            manifest.identity.step = step;
            ASSERT_TRUE(save(opened.value().run, manifest).ok());
        }
    }
    flip_bit(in_run("rolling/step_00000270-r2/checkpoint.json"), 100);
    auto opened = open();
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(260));
    EXPECT_EQ(resumed.value().steps_lost, 10);
    EXPECT_THAT(lines_, ::testing::Contains(HasSubstr("10 steps are lost")));
}

TEST_F(DamageSweep, WhenAllIsDamagedNothingStartsFreshTheNextTimeEither) {
    clone_store(pristine_, dir_);
    for (const auto* step : {"000", "250", "500"}) {
        write_new(in_run(std::string("rolling/step_00000") + step + "/checkpoint.json"), "torn");
    }
    for (int attempt = 0; attempt < 3; ++attempt) {
        const auto opened = open();
        ASSERT_TRUE(opened.ok()) << opened.error().what;
        ASSERT_FALSE(opened.value().fresh) << "attempt " << attempt;
        PagedState state;
        const auto resumed =
            resume_load(opened.value(), parse_resume_request("auto").value(), load_paged(state));
        ASSERT_FALSE(resumed.ok());
        EXPECT_EQ(resumed.error().kind, ErrorKind::kCorrupt) << resumed.error().what;
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
