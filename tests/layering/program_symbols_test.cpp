// What the linker left in the program, as nm(1) tells it.
#include <cstdio>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::layering {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::IsEmpty;

// The lines of `nm --demangle --defined-only`: address, kind, name.
std::vector<std::string> defined_symbols(const std::string& program) {
    std::vector<std::string> lines;
    const std::string command = "nm --demangle --defined-only '" + program + "'";
    // NOLINTNEXTLINE(cert-env33-c): the words are this test's own
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) {
        ADD_FAILURE() << command;
        return lines;
    }
    std::string line;
    for (int character = std::fgetc(pipe); character != EOF; character = std::fgetc(pipe)) {
        if (character == '\n') {
            lines.push_back(line);
            line.clear();
        } else {
            line.push_back(static_cast<char>(character));
        }
    }
    EXPECT_EQ(::pclose(pipe), 0) << command;
    return lines;
}

// libtorch was built with a newer gloo than the distribution's headers describe. A table of virtual
// functions that is made from those headers in the program takes the place of libtorch's own when
// it is loaded, with fewer entries, and the first call through it goes astray. One is made wherever
// an object of such a class is made (GlooStore) or one of its inline functions called.
TEST(ProgramSymbols, NoClassOfGlooIsDefinedInTheProgram) {
    const std::vector<std::string> symbols = defined_symbols(HOLDFAST_PROGRAM);
    ASSERT_THAT(symbols, Contains(EndsWith(" T main"))) << "nm sees what the program defines";
    std::vector<std::string> tables;
    for (const std::string& symbol : symbols) {
        for (const char* what : {" vtable for ", " typeinfo for "}) {
            const std::size_t at = symbol.find(what);
            if (at != std::string::npos && (symbol.find("gloo", at) != std::string::npos ||
                                            symbol.find("Gloo", at) != std::string::npos)) {
                tables.push_back(symbol);
            }
        }
    }
    EXPECT_THAT(tables, IsEmpty());
}

}  // namespace
}  // namespace holdfast::layering
