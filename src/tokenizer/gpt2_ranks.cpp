#include "tokenizer/gpt2_ranks.h"

#include <cstddef>

// The assembler copies the file: no array of 800,000 numbers passes through the compiler.
// HOLDFAST_GPT2_RANKS_FILE is the path of the file whose SHA-256 CMakeLists.txt has checked.
asm(".pushsection .rodata\n"
    ".global holdfast_gpt2_ranks_begin\n"
    "holdfast_gpt2_ranks_begin:\n"
    ".incbin \"" HOLDFAST_GPT2_RANKS_FILE
    "\"\n"
    ".global holdfast_gpt2_ranks_end\n"
    "holdfast_gpt2_ranks_end:\n"
    ".byte 0\n"
    ".popsection\n");

extern "C" {
// NOLINTBEGIN(readability-identifier-naming): the assembler knows them by these names
extern const char holdfast_gpt2_ranks_begin[];
extern const char holdfast_gpt2_ranks_end[];
// NOLINTEND(readability-identifier-naming)
}

namespace holdfast::tokenizer {

std::string_view gpt2_ranks_text() {
    return {holdfast_gpt2_ranks_begin,
            static_cast<std::size_t>(holdfast_gpt2_ranks_end - holdfast_gpt2_ranks_begin)};
}

}  // namespace holdfast::tokenizer
