// Damage on disk is found, whatever byte it hits, before a byte reaches the trainer, and a resume
// goes on from the checkpoint before.

#include <algorithm>

#include <gmock/gmock.h>

#include "base/log.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;

class Damage : public RunFixture {
protected:
    // What a resume would find out about this entry.
    static base::Status load(const std::string& path) {
        auto reader = Reader::open(fs::real_file_system(), path);
        if (!reader.ok()) {
            return reader.error();
        }
        TinyState state;
        return reader.value().load(state.targets(), Unrequested::kRefuse, {.thread_count = 1});
    }
};

TEST_F(Damage, P1_EveryFlippedByteIsDetected) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    for (const auto* name :
         {"model.safetensors", "optimizer-00001-of-00001.safetensors", "checkpoint.json"}) {
        const std::string path = published.path + '/' + name;
        const std::string sound = slurp(path);
        for (std::size_t i = 0; i < sound.size(); ++i) {
            poke(path, i, static_cast<char>(static_cast<unsigned char>(sound[i]) ^ (1U << i % 8)));
            ASSERT_EQ(load(published.path).error().kind, ErrorKind::kCorrupt) << name << ' ' << i;
            poke(path, i, sound[i]);
        }
    }
    EXPECT_TRUE(load(published.path).ok());
}

TEST_F(Damage, P1_EveryTruncationAndEveryTailIsDetected) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    for (const auto* name :
         {"model.safetensors", "optimizer-00001-of-00001.safetensors", "checkpoint.json"}) {
        const std::string path = published.path + '/' + name;
        const std::string sound = slurp(path);
        for (std::size_t length = 0; length < sound.size(); length += 97) {
            overwrite(path, sound.substr(0, length));
            ASSERT_EQ(load(published.path).error().kind, ErrorKind::kCorrupt) << name << length;
        }
        overwrite(path, sound + '\0');
        EXPECT_EQ(load(published.path).error().kind, ErrorKind::kCorrupt);
        overwrite(path, std::string(sound.size(), '\0'));
        EXPECT_EQ(load(published.path).error().kind, ErrorKind::kCorrupt);
        overwrite(path, sound);
    }
}

TEST_F(Damage, MissingExtraAndSwappedFilesAreDetected) {
    const auto opened = open();
    const auto a = save(opened.value().run, 250).value();
    const auto b = save(opened.value().run, 500).value();
    const std::string model = a.path + "/model.safetensors";
    std::filesystem::rename(model, a.path + "/moved");
    EXPECT_EQ(load(a.path).error().kind, ErrorKind::kCorrupt);
    std::filesystem::copy(b.path + "/model.safetensors", model);
    EXPECT_EQ(load(a.path).error().kind, ErrorKind::kCorrupt) << "an extra file";
    std::filesystem::remove(a.path + "/moved");
    EXPECT_EQ(load(a.path).error().kind, ErrorKind::kCorrupt) << "a file of another save";
    std::filesystem::remove(model);
    std::filesystem::create_symlink(b.path + "/model.safetensors", model);
    EXPECT_EQ(load(a.path).error().kind, ErrorKind::kCorrupt) << "a symlink";
    std::ofstream(b.path + "/.nfs0001") << "left by the file system";
    EXPECT_TRUE(load(b.path).ok());
}

TEST_F(Damage, P1_ResumeFallsBackQuarantinesAndTells) {
    {
        const auto opened = open();
        for (const std::int64_t step : {0, 250, 500, 750}) {
            ASSERT_TRUE(save(opened.value().run, step).ok());
        }
    }
    flip_bit(in_run("rolling/step_00000750/model.safetensors"), 4100);
    std::filesystem::remove(in_run("rolling/step_00000500/checkpoint.json"));
    std::vector<std::string> lines;
    base::capture_log([&](auto, std::string_view line) { lines.emplace_back(line); });
    const auto opened = open();
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    base::capture_log(nullptr);
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(250));
    EXPECT_EQ(resumed.value().steps_lost, 500);
    EXPECT_TRUE(resumed.value().is_head) << "what is in quarantine is not ahead any more";
    EXPECT_EQ(resumed.value().fallbacks.size(), 2U);
    EXPECT_THAT(labels(), ::testing::ElementsAre("rolling/step_00000000", "rolling/step_00000250"));
    EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("500 steps are lost")));
    EXPECT_TRUE(std::filesystem::exists(in_run("quarantine/000002_rolling_step_00000750")));
}

// Long enough for several chunks and threads, so that much of the damaged one is in place already.
TEST_F(Damage, P1_NothingOfAFailedLoadIsLeftInTheNext) {
    constexpr std::int64_t kLength = 13'000'000;
    const TensorInfo info{"long", "F32", {kLength}};
    const auto opened = open();
    const std::vector<float> older(kLength, 1.0F);
    const std::vector<float> newer(kLength, 2.0F);
    for (const auto* values : {&older, &newer}) {
        PendingSave pending =
            opened.value().run.begin_save(make_save_id(), 4 * kLength, shared_buffers()).value();
        const std::vector<TensorSource> sources{{info, std::as_bytes(std::span(*values))}};
        ASSERT_TRUE(pending.add(kModelFileName, sources).ok());
        Manifest manifest =
            tiny_manifest(opened.value().run.identity().run_id, values == &older ? 250 : 500);
        manifest.identity.save_id = pending.save_id();
        ASSERT_TRUE(pending.seal(manifest).ok());
        ASSERT_TRUE(
            opened.value().run.publish(std::move(pending), Pool::kRolling, shared_buffers()).ok());
    }
    flip_bit(in_run("rolling/step_00000500/model.safetensors"), 4 * kLength);
    std::vector<float> target(kLength, 3.0F);
    std::vector<float> after_failure;
    const auto resumed = resume_load(
        opened.value(), parse_resume_request("auto").value(), [&](const Entry&, Reader& reader) {
            const base::Status loaded = reader.load(
                std::vector<TensorTarget>{{info, std::as_writable_bytes(std::span(target))}},
                Unrequested::kRefuse);
            if (!loaded.ok()) {
                after_failure = target;
            }
            return loaded;
        });
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(resumed.value().entry.manifest.identity.step, 250);
    EXPECT_TRUE(std::count(after_failure.begin(), after_failure.end(), 2.0F) > 0);
    EXPECT_TRUE(std::all_of(after_failure.begin(), after_failure.end(), [](float x) {
        return x == 0.0F || x == 2.0F || x == 3.0F;
    })) << "a wrong byte was handed on";
    EXPECT_TRUE(target == older);
}

TEST_F(Damage, P1_QuarantineKeepsTheNewestThree) {
    const auto opened = open();
    for (std::int64_t step = 0; step < 6; ++step) {
        ASSERT_TRUE(save(opened.value().run, step).ok());
    }
    for (int step = 1; step < 6; ++step) {
        flip_bit(in_run("rolling/step_0000000" + std::to_string(step) + "/model.safetensors"),
                 4200);
    }
    TinyState state;
    ASSERT_TRUE(
        resume_load(opened.value(), parse_resume_request("latest").value(), load_into(state)).ok());
    EXPECT_EQ(state, TinyState::of_step(0));
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(in_run("quarantine"))) {
        count += entry.is_directory() ? 1U : 0U;
    }
    EXPECT_EQ(count, 3U);
}

TEST_F(Damage, OlderDamageIsToldButNothingIsLost) {
    const auto opened = open();
    for (const std::int64_t step : {0, 250, 500}) {
        ASSERT_TRUE(save(opened.value().run, step).ok());
    }
    std::filesystem::remove(in_run("rolling/step_00000250/checkpoint.json"));
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    EXPECT_EQ(state, TinyState::of_step(500));
    EXPECT_EQ(resumed.value().steps_lost, 0);
    EXPECT_EQ(resumed.value().fallbacks.size(), 1U);
}

TEST_F(Damage, WhenAllIsDamagedNothingStartsFresh) {
    {
        const auto opened = open();
        ASSERT_TRUE(save(opened.value().run, 0).ok());
    }
    flip_bit(in_run("rolling/step_00000000/model.safetensors"), 4100);
    const auto opened = open();
    ASSERT_FALSE(opened.value().fresh);
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    EXPECT_EQ(resumed.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace holdfast::checkpoint
