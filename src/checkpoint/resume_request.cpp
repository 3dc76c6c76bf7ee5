#include "checkpoint/resume_request.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/words.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

constexpr std::array<std::pair<std::string_view, ResumeKind>, 6> kWords{{
    {"auto", ResumeKind::kAuto},
    {"latest", ResumeKind::kLatest},
    {"best", ResumeKind::kBest},
    {"previous-best", ResumeKind::kPreviousBest},
    {"backup", ResumeKind::kBackup},
    {"never", ResumeKind::kNever},
}};

}  // namespace

Result<ResumeRequest> parse_resume_request(std::string_view text) {
    if (text.empty()) {
        return Error{ErrorKind::kInvalid,
                     "--resume is empty: one of auto, latest, best, previous-best, backup, never, "
                     "a step or a path is needed",
                     0};
    }
    std::string word(text);
    // In option values as in names, '_' and '-' mean the same.
    std::replace(word.begin(), word.end(), '_', '-');
    for (const auto& [name, kind] : kWords) {
        if (name == word) {
            return ResumeRequest{.kind = kind, .step = 0, .path = {}};
        }
    }
    if (const auto step = base::parse_count(text); step && *step >= 0) {
        return ResumeRequest{.kind = ResumeKind::kStep, .step = *step, .path = {}};
    }
    return ResumeRequest{.kind = ResumeKind::kPath, .step = 0, .path = std::string(text)};
}

std::string to_string(const ResumeRequest& request) {
    for (const auto& [name, kind] : kWords) {
        if (kind == request.kind) {
            return std::string(name);
        }
    }
    return request.kind == ResumeKind::kStep ? std::to_string(request.step) : request.path;
}

}  // namespace holdfast::checkpoint
