// What --resume asks for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::checkpoint {

enum class ResumeKind {
    kAuto,          // the newest valid of the newest run of this identity, else a fresh start
    kLatest,        // the same, but there must be one
    kBest,          // lowest validation loss
    kPreviousBest,  // the best before it
    kBackup,        // the newest second copy
    kStep,          // that step
    kPath,          // that checkpoint or run directory
    kNever,         // a fresh run
};

struct ResumeRequest {
    ResumeKind kind = ResumeKind::kAuto;
    std::int64_t step = 0;  // kStep
    std::string path;       // kPath
};

// auto | latest | best | previous-best | backup | never | a step number | a path (anything with a
// '/', or that is none of the words). kInvalid for an empty text.
base::Result<ResumeRequest> parse_resume_request(std::string_view text);
// As the user would write it.
std::string to_string(const ResumeRequest& request);

}  // namespace holdfast::checkpoint
