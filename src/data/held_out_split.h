// Which text is held out for validation: a pure function of the documents and val_fraction
// (docs/data-preparation.md, "What is held out").
#pragma once

#include <cstdint>
#include <string_view>

#include "data/dataset_sidecar.h"

namespace holdfast::data {

// With fewer documents than this the tail of each is held out, else whole documents: 20, or as many
// as make one held out, whichever is more. 0 < val_fraction <= 0.5.
std::uint64_t documents_for_draw(double val_fraction);

// Bytes from the start of a document that DocumentDraw looks at.
inline constexpr std::size_t kDrawBytes = 4096;

// Draws whole documents. Documents i with equal floor(i * val_fraction) are a group; of each group
// one is held out, its place in the group being XXH3(group number, XXH3 of the first bytes of the
// group's first document) modulo the group's size. So the held-out share is val_fraction to within
// one document however many there are. One thread at a time.
class DocumentDraw {
public:
    explicit DocumentDraw(double val_fraction) : val_fraction_(val_fraction) {}

    // To be asked for every document in order, from the first. `beginning`: its first kDrawBytes
    // bytes, or all it has.
    bool is_held_out(std::string_view beginning);

private:
    double val_fraction_;
    std::uint64_t next_document_ = 0;
    std::uint64_t group_end_ = 0;
    std::uint64_t drawn_ = 0;
};

// The part of a document around the place where its tail begins.
struct TailSearch {
    std::uint64_t target = 0;  // floor(bytes * (1 - val_fraction))
    std::uint64_t begin = 0;   // the cut is looked for in [begin, end)
    std::uint64_t end = 0;
};
TailSearch tail_search(std::uint64_t document_bytes, double val_fraction);

// Where the held-out tail begins; `window` is bytes [search.begin, search.end) of the document. The
// first line break at or after the target, else the last before it, else white space in the same
// order, else the character at the target. The document's length when it is too short to be cut.
std::uint64_t tail_begin(const TailSearch& search,
                         std::uint64_t document_bytes,
                         std::string_view window);

}  // namespace holdfast::data
