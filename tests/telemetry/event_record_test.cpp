#include "telemetry/event_record.h"

#include <array>
#include <fstream>
#include <iterator>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "telemetry/tensorboard_writer.h"
#include "temporary_directory.h"

namespace holdfast::telemetry {
namespace {

// tests/telemetry/reference/event_reference.py made these with TensorBoard's own code.
std::string reference(const std::string& name) {
    std::ifstream file(HOLDFAST_SOURCE_DIR "/tests/telemetry/reference/" + name, std::ios::binary);
    EXPECT_TRUE(file) << name;
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string read_all(const std::string& path) {
    const auto text = fs::read_file(fs::real_file_system(), path, 1U << 20U);
    EXPECT_TRUE(text.ok()) << text.error().what;
    return text.value();
}

TEST(EventRecord, Crc32cIsCastagnolis) {
    EXPECT_EQ(crc32c("123456789"), 0xE3069283U);            // the check value of CRC-32C
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);  // RFC 3720, B.4
}

TEST(EventRecord, AFirstStartHasTheBytesTensorBoardWrites) {
    std::string file = framed(version_event(1000.5, 0));
    for (int step = 1; step <= 4; ++step) {
        const std::array<Scalar, 2> scalars = {
            Scalar{"train/loss", 4.0F / static_cast<float>(step)}, Scalar{"train/lr", 6e-4F}};
        file += framed(scalars_event(1000.5 + step, step, scalars));
    }
    EXPECT_EQ(file, reference("first.tfevents"));
}

TEST(EventRecord, AResumedStartHasTheBytesTensorBoardWrites) {
    std::string file = framed(version_event(2000.25, 3)) + framed(session_start_event(2000.25, 3));
    for (int step = 3; step <= 300; step += 99) {
        const std::array<Scalar, 1> scalars = {
            Scalar{"train/loss", 40.0F / static_cast<float>(step)}};
        file += framed(scalars_event(2000.25 + step, step, scalars));
    }
    EXPECT_EQ(file, reference("second.tfevents"));
}

TEST(EventRecord, TensorBoardsReaderShowedEachStepOfThoseFilesOnce) {
    const auto outcome = nlohmann::json::parse(reference("outcome.json"));
    std::vector<int> steps;
    for (const auto& item : outcome.at("train/loss")) {
        steps.push_back(item.at(0).get<int>());
    }
    EXPECT_EQ(steps, (std::vector<int>{1, 2, 3, 102, 201, 300}));
    EXPECT_FLOAT_EQ(outcome.at("train/loss").at(2).at(1).get<float>(), 40.0F / 3.0F);
}

TEST(TensorboardWriter, EachStartHasItsOwnFileAndAResumedOneSaysSo) {
    const TemporaryDirectory directory;
    const std::string folder = directory / "tensorboard";
    auto first = TensorboardWriter::open(fs::real_file_system(), folder, std::nullopt);
    ASSERT_TRUE(first.ok()) << first.error().what;
    auto second = TensorboardWriter::open(fs::real_file_system(), folder, 251);
    ASSERT_TRUE(second.ok()) << second.error().what;
    EXPECT_NE(first.value()->path(), second.value()->path());
    const auto names = fs::real_file_system().list(folder);
    ASSERT_EQ(names.value().size(), 2U);
    EXPECT_TRUE(names.value()[0].starts_with("events.out.tfevents.")) << names.value()[0];
    // A version record of step 0 is 8 + 4 + (9 + 15) + 4 bytes.
    EXPECT_EQ(read_all(first.value()->path()).size(), 40U);
    EXPECT_NE(read_all(second.value()->path()).find(std::string("\x3a\x02\x08\x01", 4)),
              std::string::npos);
}

TEST(TensorboardWriter, WritesEveryFieldThatIsThere) {
    StepMetrics metrics;
    metrics.val_losses = {{"", 1.0}, {"poems", 2.0}};
    metrics.mfu = 0.5;
    std::vector<std::string> tags;
    for (const Scalar& scalar : scalars_of(metrics)) {
        tags.push_back(scalar.tag);
    }
    EXPECT_EQ(tags,
              (std::vector<std::string>{"train/loss",
                                        "train/lr",
                                        "train/grad_norm",
                                        "train/epoch",
                                        "train/tokens",
                                        "val/loss",
                                        "val/loss.poems",
                                        "cost/mfu"}));
}

}  // namespace
}  // namespace holdfast::telemetry
