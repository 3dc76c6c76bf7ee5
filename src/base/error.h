// What went wrong, as a value: the first of the three error roads (docs/style.md).
//
// An Error is for what a correct program must expect from the world: a file that is missing or
// damaged, a full disk, a busy lock, a key that no option has. What ends the run is an exception
// (Failure, below); a bug of our own is HF_CHECK (check.h). Values are immutable; any thread may
// read one.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace holdfast::base {

// Few on purpose: a caller decides by kind, a person reads `what`.
enum class ErrorKind {
    kNotFound,  // the thing named does not exist
    kCorrupt,   // it exists and its bytes are not what they must be
    kNoSpace,   // the disk or the quota is full
    kIo,        // the device or the system refused (EIO, ESTALE, EACCES, EMFILE, ...)
    kBusy,      // somebody else holds it
    kInvalid,   // the request itself is wrong: a config value, a command line, a data file of a
                // wrong kind
    kExists,    // a name that must be new is taken
};

// "not found", "damaged", ... : how the kind reads in a message.
std::string_view to_string(ErrorKind kind);

struct Error {
    ErrorKind kind = ErrorKind::kIo;
    std::string what;  // one line: what, where, expected, found, what to do
    int os_errno = 0;  // the system's number when there was one, else 0

    // The same error seen from one floor up: "while publishing step 500: <what>". The kind stays.
    [[nodiscard]] Error within(std::string_view context) const;
};

// The error for a system call on `path` that set `os_errno`: picks the kind (ENOENT is kNotFound,
// ENOSPC and EDQUOT kNoSpace, EEXIST kExists, EWOULDBLOCK kBusy, the rest kIo) and says "cannot
// <verb> <path>: <reason>".
Error error_from_errno(std::string_view verb, std::string_view path, int os_errno);

// Exit codes of the program (docs/operations.md). A Failure carries one to main.
enum class ExitCode : int {
    kDone = 0,
    kFailed = 1,
    kUsage = 2,
    kNothingToResume = 3,
    kNotDurable = 4,
    kOutOfMemory = 5,
    kRestart = 75,
    kInterrupted = 130,
    kTerminated = 143,
};

// Ends the run: the second road. Thrown where nothing below can help, caught in train/saver and
// cli/main only.
class Failure : public std::runtime_error {
public:
    Failure(ExitCode exit_code, const std::string& what)
        : std::runtime_error(what), exit_code_(exit_code) {}

    [[nodiscard]] ExitCode exit_code() const { return exit_code_; }

private:
    ExitCode exit_code_;
};

}  // namespace holdfast::base
