// Text to prepare, as JSONL and as plain text: documents read in pieces are what they are as a
// whole.
#include "data/text_source.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/memory_files.h"

namespace holdfast::fuzz {

using data::TextSource;

namespace {

void check_document(TextSource& source, const data::TextDocument& document) {
    require(document.bytes > 0, "no document is empty");
    std::string whole;
    require(source.read_at(0, document.bytes, whole).ok() && whole.size() == document.bytes,
            "a document is as long as it says");
    std::string in_pieces;
    for (std::size_t bytes = 1;; bytes = bytes * 2 + 1) {
        const auto read = source.read(bytes, in_pieces);
        require(read.ok(), "a document reads");
        if (read.value() == 0) {
            break;
        }
    }
    require(in_pieces == whole, "pieces are the whole");
}

bool check_file(const std::string& path, std::string_view input) {
    MemoryFiles files(std::map<std::string, std::string>{{path, std::string(input)}});
    auto source = TextSource::open(files, {path});
    require(source.ok(), "a file is an input");
    bool any = false;
    while (true) {
        const auto document = source.value().next();
        if (!document.ok()) {
            require_one_line(document.error());
            return false;
        }
        if (!document.value()) {
            break;
        }
        check_document(source.value(), *document.value());
        any = true;
    }
    require(source.value().input_bytes_done() == input.size(), "all of the input is passed");
    return any;
}

}  // namespace

bool check_text_source(std::string_view input) {
    const bool taken = check_file("in/text.jsonl", input);
    return check_file("in/text.txt", input) || taken;
}

std::vector<std::string> text_source_seeds() {
    return {"{\"text\":\"one\"}\n\n{\"id\":1,\"text\":\"two\\n\\u20ac\"}\r\n{\"text\":\"\"}",
            "\xEF\xBB\xBF{\"meta\":{\"a\":[1,2.5,null,true]},\"text\":\"three\"}\n",
            "plain text\n"};
}

}  // namespace holdfast::fuzz
