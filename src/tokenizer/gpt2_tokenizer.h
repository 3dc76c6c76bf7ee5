// "gpt2": GPT-2's byte-level BPE (Radford et al. 2019), the ids of tiktoken's "gpt2" encoding.
#pragma once

#include <memory>

#include "tokenizer/tokenizer.h"

namespace holdfast::tokenizer {

std::unique_ptr<Tokenizer> make_gpt2_tokenizer();

}  // namespace holdfast::tokenizer
