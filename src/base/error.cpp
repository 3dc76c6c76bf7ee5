#include "base/error.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace holdfast::base {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::kNotFound:
            return "not found";
        case ErrorKind::kCorrupt:
            return "damaged";
        case ErrorKind::kNoSpace:
            return "no space";
        case ErrorKind::kIo:
            return "input/output error";
        case ErrorKind::kBusy:
            return "busy";
        case ErrorKind::kInvalid:
            return "invalid";
        case ErrorKind::kExists:
            return "exists";
    }
    return "unknown";
}

Error Error::within(std::string_view context) const {
    return Error{kind, fmt::format("{}: {}", context, what), os_errno};
}

Error error_from_errno(std::string_view verb, std::string_view path, int os_errno) {
    ErrorKind kind = ErrorKind::kIo;
    switch (os_errno) {
        case ENOENT:
        case ENOTDIR:
            kind = ErrorKind::kNotFound;
            break;
        case ENOSPC:
        case EDQUOT:
            kind = ErrorKind::kNoSpace;
            break;
        case EEXIST:
        case ENOTEMPTY:
            kind = ErrorKind::kExists;
            break;
        case EWOULDBLOCK:
            kind = ErrorKind::kBusy;
            break;
        default:
            break;
    }
    // std::generic_category().message is the thread-safe form of strerror.
    return Error{
        kind,
        fmt::format("cannot {} {}: {}", verb, path, std::generic_category().message(os_errno)),
        os_errno};
}

}  // namespace holdfast::base
