// GPT-2's merge ranks, embedded in the program when it is built.
#pragma once

#include <string_view>

namespace holdfast::tokenizer {

// The text of gpt2.tiktoken: lines "base64(token) SPACE rank LF", in rank order.
std::string_view gpt2_ranks_text();

}  // namespace holdfast::tokenizer
