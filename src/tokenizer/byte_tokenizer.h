// "bytes": every byte is its own id, 256 is end of text. Nothing is replaced.
#pragma once

#include <memory>

#include "tokenizer/tokenizer.h"

namespace holdfast::tokenizer {

std::unique_ptr<Tokenizer> make_byte_tokenizer();

}  // namespace holdfast::tokenizer
