#include <string>

#include <gtest/gtest.h>

#include "data/batch_loader.h"
#include "data/prepare.h"
#include "data/shard_maker.h"
#include "data/validation_set.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

// From text to a batch and a validation unit, through the files between them.
TEST(PreparedData, IsReadBackAsItWasWritten) {
    const TemporaryDirectory folder;
    std::string text;
    for (int line = 0; line < 2000; ++line) {
        text += "line " + std::to_string(line) + " of a text\n";
    }
    write_bytes(folder / "text.txt", text);
    PrepareOptions options;
    options.inputs = {folder / "text.txt"};
    options.out_dir = folder / "prepared";
    options.tokenizer = "bytes";
    options.val_fraction = 0.1;
    options.shard_tokens_max = 10'000;
    const auto summary = prepare(fs::real_file_system(), options);
    ASSERT_TRUE(summary.ok()) << summary.error().what;

    const auto train = TokenSet::open(fs::real_file_system(), {options.out_dir}, Split::kTrain);
    const auto val = TokenSet::open(fs::real_file_system(), {options.out_dir}, Split::kVal);
    ASSERT_TRUE(train.ok()) << train.error().what;
    ASSERT_TRUE(val.ok()) << val.error().what;
    EXPECT_GT(train.value().shards().size(), 1U);
    ASSERT_TRUE(train.value().tokenizer().has_value());
    const std::int64_t vocab_size = train.value().tokenizer()->vocab_size;
    EXPECT_TRUE(train.value().check_tokens(vocab_size).ok());
    EXPECT_TRUE(val.value().check_tokens(vocab_size).ok());
    EXPECT_EQ(train.value().text_bytes().value() + val.value().text_bytes().value(),
              static_cast<std::int64_t>(text.size()));

    auto loader = BatchLoader::open(train.value(),
                                    WindowMap::make(train.value(), 64).value(),
                                    {.sequences = 8, .slice = {}, .vocab_size = vocab_size},
                                    {});
    ASSERT_TRUE(loader.ok()) << loader.error().what;
    EXPECT_TRUE(loader.value()->next().ok());
    const auto validation = ValidationSet::make(
        val.value(), {.window_tokens = 64, .unit_sequences = 4, .vocab_size = vocab_size});
    ASSERT_TRUE(validation.ok()) << validation.error().what;
    EvaluationUnit unit;
    EXPECT_TRUE(validation.value().read_unit(0, unit).ok());
    EXPECT_TRUE(validation.value().bits_per_byte(1.0).has_value());
}

}  // namespace
}  // namespace holdfast::data
