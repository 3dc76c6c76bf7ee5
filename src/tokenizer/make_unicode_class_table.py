#!/usr/bin/env python3
"""Writes unicode_class_table.cpp: the class of every code point as tiktoken's regular expressions see it.

    pip install tiktoken
    src/tokenizer/make_unicode_class_table.py > src/tokenizer/unicode_class_table.cpp

tiktoken gives ids only for what its pattern matches, so an encoding whose pattern is one class answers
which code points are in that class. The Unicode version is told from code points that each version added.
"""

import sys

import tiktoken

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
ALL_TEXT = "".join(map(chr, CODE_POINTS))

# A letter that came with each version.
ADDED_LETTER = {"15.0.0": 0x31350, "15.1.0": 0x2EBF0, "16.0.0": 0x105C0, "17.0.0": 0x323B0}


def members(pattern):
    encoding = tiktoken.Encoding(
        name="class", pat_str=pattern, mergeable_ranks={bytes([b]): b for b in range(256)}, special_tokens={}
    )
    return set(map(ord, bytes(encoding.encode_ordinary(ALL_TEXT)).decode()))


def main():
    classes = [members(r"\p{L}"), members(r"\p{N}"), members(r"\s")]
    version = [name for name, letter in ADDED_LETTER.items() if letter in classes[0]][-1]
    runs = []
    before = None
    for code_point in range(0x110000):
        here = next((i + 1 for i, members_ in enumerate(classes) if code_point in members_), 0)
        if here != before:
            runs.append(code_point << 2 | here)
            before = here
    lines = []
    for start in range(0, len(runs), 11):
        lines.append("    " + " ".join(f"{run:#x}," for run in runs[start : start + 11]))
    print(
        f"""// Made by make_unicode_class_table.py with tiktoken {tiktoken.__version__}; do not edit.
#include <array>

#include "tokenizer/unicode_class.h"

namespace holdfast::tokenizer {{

namespace {{

// clang-format off
constexpr std::array<std::uint32_t, {len(runs)}> kRuns = {{
{chr(10).join(lines)}
}};
// clang-format on

}}  // namespace

std::span<const std::uint32_t> unicode_class_runs() {{
    return kRuns;
}}

std::string_view unicode_class_version() {{
    return "{version}";
}}

}}  // namespace holdfast::tokenizer"""
    )
    print(f"{len(runs)} runs, Unicode {version}", file=sys.stderr)


main()
