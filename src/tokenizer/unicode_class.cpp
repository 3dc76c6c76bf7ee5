#include "tokenizer/unicode_class.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::tokenizer {

UnicodeClasses::UnicodeClasses() {
    constexpr std::size_t kPage = 256;
    const std::span<const std::uint32_t> runs = unicode_class_runs();
    std::size_t run = 0;
    std::array<UnicodeClass, kPage> page{};
    for (std::size_t number = 0; number < pages_.size(); ++number) {
        for (std::size_t offset = 0; offset < kPage; ++offset) {
            const std::size_t code_point = number * kPage + offset;
            while (run + 1 < runs.size() && runs[run + 1] >> 2U <= code_point) {
                ++run;
            }
            page[offset] = static_cast<UnicodeClass>(runs[run] & 3U);
        }
        std::size_t same = 0;
        while (same * kPage < classes_.size() &&
               !std::equal(page.begin(),
                           page.end(),
                           classes_.begin() + static_cast<std::ptrdiff_t>(same * kPage))) {
            ++same;
        }
        if (same * kPage == classes_.size()) {
            classes_.insert(classes_.end(), page.begin(), page.end());
        }
        HF_CHECK(same < 256, "more than 256 distinct pages of Unicode classes");
        pages_[number] = static_cast<std::uint8_t>(same);
    }
}

}  // namespace holdfast::tokenizer
