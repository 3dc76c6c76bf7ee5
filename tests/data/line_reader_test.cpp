#include "data/line_reader.h"

#include <gtest/gtest.h>

#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

class LineReaderTest : public testing::Test {
protected:
    // All lines; the last entry is the error when there is one.
    std::vector<std::string> lines_of(std::string_view bytes, std::uint64_t line_bytes_max = 1000) {
        const std::string path = directory_ / "x";
        EXPECT_TRUE(fs::replace_file(files_, path, bytes).ok());
        const auto file = files_.open(path, fs::OpenOptions{});
        EXPECT_TRUE(file.ok());
        LineReader reader(*file.value(), "x", line_bytes_max);
        std::vector<std::string> lines;
        while (true) {
            const auto line = reader.next();
            if (!line.ok()) {
                lines.push_back("error: " + line.error().what);
                return lines;
            }
            if (!line.value().has_value()) {
                EXPECT_EQ(reader.bytes_done(), bytes.size());
                EXPECT_EQ(reader.line_number(), lines.size());
                return lines;
            }
            lines.emplace_back(*line.value());
        }
    }

    const TemporaryDirectory directory_;
    fs::FileSystem& files_ = fs::real_file_system();
};

TEST_F(LineReaderTest, GivesEachLineWithoutItsEnd) {
    EXPECT_EQ(lines_of("a\n\nbc\r\n"), (std::vector<std::string>{"a", "", "bc\r"}));
    EXPECT_EQ(lines_of("a\nb"), (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(lines_of("").empty());
}

TEST_F(LineReaderTest, LinesAcrossReadsAreWhole) {
    std::string bytes;
    std::vector<std::string> expected;
    for (std::size_t line = 0; line < 3000; ++line) {
        expected.emplace_back(line * 7 % 613, static_cast<char>('a' + line % 26));
        bytes += expected.back() + '\n';
    }
    EXPECT_EQ(lines_of(bytes), expected);
}

TEST_F(LineReaderTest, ALineBeyondTheBoundIsRefusedWithItsNumber) {
    const std::string bound(2048, 'x');
    EXPECT_EQ(lines_of("a\n" + bound + "\n", 2048), (std::vector<std::string>{"a", bound}));
    EXPECT_EQ(lines_of("a\n" + bound + "x\nb\n", 2048),
              (std::vector<std::string>{
                  "a",
                  "error: x:2: the line is longer than 2.00 KiB; cut the document into several "
                  "lines, or give it as a text file of its own"}));
    EXPECT_EQ(lines_of(std::string(2'000'000, 'x'), 2048).size(), 1U);
}

}  // namespace
}  // namespace holdfast::data
