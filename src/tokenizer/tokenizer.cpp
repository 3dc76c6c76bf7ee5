#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include "tokenizer/byte_tokenizer.h"
#include "tokenizer/gpt2_tokenizer.h"

namespace holdfast::tokenizer {

base::Result<std::unique_ptr<Tokenizer>> make_tokenizer(std::string_view name) {
    if (name == "gpt2") {
        return make_gpt2_tokenizer();
    }
    if (name == "bytes") {
        return make_byte_tokenizer();
    }
    return base::Error{
        base::ErrorKind::kInvalid,
        fmt::format("there is no tokenizer called \"{}\"; the tokenizers are gpt2 and bytes", name),
        0};
}

}  // namespace holdfast::tokenizer
