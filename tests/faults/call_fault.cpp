// A library for LD_PRELOAD that makes chosen calls of the real program its last ones, stops it
// there, or lets them fail. The program itself has no hook: what is counted are the calls it makes
// to the C library, and to libtorch for the copy of a tensor.
//
// HOLDFAST_CALL_FAULTS holds rules, separated by ';': `CALL PATTERN NTH ACTION`.
//   CALL     pwrite pread open fsync fallocate ftruncate rename link symlink unlink mkdir rmdir
//            copy memcpy
//   PATTERN  of fnmatch(3), held against the path; of two paths against the new one; for copy
//            against `tensor/BYTES`, for memcpy (from 4,096 bytes, by the program's own code)
//            against `memory/BYTES`
//   NTH      counts the matches of this rule from 1
//   ACTION   kill-before, kill-after, kill-half (the first half of a write is done), kill-within:US
//            (that many microseconds after the call); stop-once, stop-on (SIGSTOP before the call);
//            fail-once:ERRNO, fail-on:ERRNO. -on is this match and every later one
// A rule that acts says so in one line on stderr: `call-fault RULE CALL PATH`, RULE from 0.
// HOLDFAST_CALL_FAULT_RANK: the rules are for the process of this HOLDFAST_RANK alone.
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <ATen/core/TensorBase.h>
#include <dlfcn.h>
#include <fnmatch.h>

namespace {

enum class Action {
    kKillBefore,
    kKillAfter,
    kKillHalf,
    kKillWithin,
    kStopOnce,
    kStopOn,
    kFailOnce,
    kFailOn
};

struct Rule {
    std::string call;
    std::string pattern;
    std::int64_t nth = 0;
    Action action = Action::kKillBefore;
    std::int64_t argument = 0;  // microseconds, or an errno
    std::atomic<std::int64_t> matches = 0;
};

constexpr std::size_t kRulesMax = 8;

struct Rules {
    std::array<Rule, kRulesMax> rules;
    std::size_t count = 0;
};

[[noreturn]] void refuse(const char* why, const std::string& text) {
    ::dprintf(STDERR_FILENO, "call-fault: %s: '%s'\n", why, text.c_str());
    ::_exit(126);
}

std::string_view take_until(std::string_view& text, char end) {
    const std::size_t at = text.find(end);
    const std::string_view head = text.substr(0, at);
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
    return head;
}

std::int64_t number_of(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{} || end != text.data() + text.size()) {
        refuse("not a number", std::string(text));
    }
    return number;
}

void parse_rule(std::string_view text, Rule& rule) {
    rule.call = take_until(text, ' ');
    rule.pattern = take_until(text, ' ');
    rule.nth = number_of(take_until(text, ' '));
    const std::string_view action = take_until(text, ':');
    if (!text.empty()) {
        rule.argument = number_of(text);
    }
    struct Word {
        std::string_view word;
        Action action;
    };
    for (const Word& known : {Word{"kill-before", Action::kKillBefore},
                              Word{"kill-after", Action::kKillAfter},
                              Word{"kill-half", Action::kKillHalf},
                              Word{"kill-within", Action::kKillWithin},
                              Word{"stop-once", Action::kStopOnce},
                              Word{"stop-on", Action::kStopOn},
                              Word{"fail-once", Action::kFailOnce},
                              Word{"fail-on", Action::kFailOn}}) {
        if (known.word == action) {
            rule.action = known.action;
            return;
        }
    }
    refuse("no such action", std::string(action));
}

bool is_for_this_rank() {
    const char* wanted = std::getenv("HOLDFAST_CALL_FAULT_RANK");
    const char* rank = std::getenv("HOLDFAST_RANK");
    return wanted == nullptr || (rank != nullptr && std::string_view(wanted) == rank);
}

// Never destroyed: other threads still make calls while the program ends.
Rules& rules() {
    static Rules& parsed = *[] {
        auto* made = new Rules;
        const char* environment = std::getenv("HOLDFAST_CALL_FAULTS");
        std::string_view text = environment == nullptr || !is_for_this_rank() ? "" : environment;
        while (!text.empty()) {
            if (made->count == kRulesMax) {
                refuse("too many rules", environment);
            }
            parse_rule(take_until(text, ';'), made->rules.at(made->count++));
        }
        return made;
    }();
    return parsed;
}

std::string path_of(int descriptor) {
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    std::array<char, 4096> path{};
    const long length = ::syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), path.data(), path.size());
    return length < 0 ? std::string() : std::string(path.data(), static_cast<std::size_t>(length));
}

[[noreturn]] void die() {
    ::kill(::getpid(), SIGKILL);
    while (true) {
        ::pause();
    }
}

void die_within(std::int64_t microseconds) {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    timer_t timer{};
    itimerspec when{};
    when.it_value.tv_sec = microseconds / 1'000'000;
    when.it_value.tv_nsec = microseconds % 1'000'000 * 1000 + 1;
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        ::timer_settime(timer, 0, &when, nullptr) != 0) {
        refuse("no timer", std::strerror(errno));
    }
}

// The rule that acts on this call, or null. `path` is made only where a rule asks for it.
template <typename Path>
const Rule* find_acting(std::string_view call, Path path) {
    Rules& all = rules();
    const Rule* acting = nullptr;
    std::string text;
    for (std::size_t i = 0; i < all.count; ++i) {
        Rule& rule = all.rules.at(i);
        if (rule.call != call) {
            continue;
        }
        if (text.empty()) {
            text = path();
        }
        if (::fnmatch(rule.pattern.c_str(), text.c_str(), 0) != 0) {
            continue;
        }
        const std::int64_t match = ++rule.matches;
        const bool goes_on = rule.action == Action::kFailOn || rule.action == Action::kStopOn;
        if (acting == nullptr && (match == rule.nth || (goes_on && match > rule.nth))) {
            acting = &rule;
            if (match == rule.nth) {
                ::dprintf(
                    STDERR_FILENO, "call-fault %zu %s %s\n", i, rule.call.c_str(), text.c_str());
            }
        }
    }
    return acting;
}

// Carries out `real()` as the rule says. `half()` does what half of the call is.
template <typename Path, typename Real, typename Half>
auto with_faults(std::string_view call, Path path, Real real, Half half) -> decltype(real()) {
    const Rule* rule = find_acting(call, path);
    if (rule == nullptr) {
        return real();
    }
    switch (rule->action) {
        case Action::kKillBefore:
            die();
        case Action::kKillHalf:
            half();
            die();
        case Action::kKillAfter:
            real();
            die();
        case Action::kKillWithin:
            die_within(rule->argument);
            return real();
        case Action::kStopOnce:
        case Action::kStopOn:
            // To this thread: were it another that takes the signal, this one would run on
            // meanwhile.
            static_cast<void>(std::raise(SIGSTOP));
            return real();
        case Action::kFailOnce:
        case Action::kFailOn:
            break;
    }
    errno = static_cast<int>(rule->argument);
    return decltype(real())(-1);
}

template <typename Path, typename Real>
auto with_faults(std::string_view call, Path path, Real real) -> decltype(real()) {
    return with_faults(call, path, real, [] {});
}

auto path_of_descriptor(int descriptor) {
    return [descriptor] { return path_of(descriptor); };
}

auto path_as_given(const char* path) {
    return [path] { return std::string(path); };
}

bool is_in_program(const void* address) {
    Dl_info caller{};
    Dl_info program{};
    return ::dladdr(address, &caller) != 0 &&
           ::dladdr(reinterpret_cast<const void*>(::getauxval(AT_PHDR)), &program) != 0 &&
           caller.dli_fbase == program.dli_fbase;
}

constexpr size_t kWatchedCopyBytes = 4096;

// Known before main(): memory is copied long before the rules can be parsed.
std::atomic<bool> memory_is_watched{false};

__attribute__((constructor)) void look_for_memory_rules() {
    const Rules& all = rules();
    for (std::size_t i = 0; i < all.count; ++i) {
        memory_is_watched = memory_is_watched || all.rules.at(i).call == "memcpy";
    }
}

// No call of its own: it stands for the one of the C library.
void copy_memory(void* to, const void* from, size_t count) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

}  // namespace

extern "C" {

void* memcpy(void* to, const void* from, size_t count) noexcept {
    if (count < kWatchedCopyBytes || !memory_is_watched ||
        !is_in_program(__builtin_return_address(0))) {
        copy_memory(to, from, count);
        return to;
    }
    with_faults(
        "memcpy",
        [&] { return "memory/" + std::to_string(count); },
        [&] {
            copy_memory(to, from, count);
            return 0;
        },
        [&] { copy_memory(to, from, count / 2); });
    return to;
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
    const auto write = [&](size_t part) {
        return static_cast<ssize_t>(::syscall(SYS_pwrite64, fd, bytes, part, offset));
    };
    return with_faults(
        "pwrite",
        path_of_descriptor(fd),
        [&] { return write(count); },
        [&] {
            // O_DIRECT takes whole blocks only.
            const size_t half = count / 2;
            static_cast<void>(write(count >= 8192 ? half / 4096 * 4096 : half));
        });
}
ssize_t pread(int fd, void* bytes, size_t count, off_t offset) {
    return with_faults("pread", path_of_descriptor(fd), [&] {
        return static_cast<ssize_t>(::syscall(SYS_pread64, fd, bytes, count, offset));
    });
}
int open(const char* path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : mode_t{0};
    va_end(more);
    return with_faults("open", path_as_given(path), [&] {
        return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
    });
}
int fsync(int fd) {
    return with_faults("fsync", path_of_descriptor(fd), [&] {
        return static_cast<int>(::syscall(SYS_fsync, fd));
    });
}
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    return with_faults("fallocate", path_of_descriptor(fd), [&] {
        return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, bytes));
    });
}
int ftruncate(int fd, off_t bytes) noexcept {
    return with_faults("ftruncate", path_of_descriptor(fd), [&] {
        return static_cast<int>(::syscall(SYS_ftruncate, fd, bytes));
    });
}
int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) noexcept {
    return with_faults("rename", path_as_given(to), [&] {
        return static_cast<int>(::syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
    });
}
int rename(const char* from, const char* to) noexcept {
    return ::renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int link(const char* from, const char* to) noexcept {
    return with_faults("link", path_as_given(to), [&] {
        return static_cast<int>(::syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
    });
}
int symlink(const char* target, const char* path) noexcept {
    return with_faults("symlink", path_as_given(path), [&] {
        return static_cast<int>(::syscall(SYS_symlinkat, target, AT_FDCWD, path));
    });
}
int unlink(const char* path) noexcept {
    return with_faults("unlink", path_as_given(path), [&] {
        return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
    });
}
int mkdir(const char* path, mode_t mode) noexcept {
    return with_faults("mkdir", path_as_given(path), [&] {
        return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
    });
}
int rmdir(const char* path) noexcept {
    return with_faults("rmdir", path_as_given(path), [&] {
        return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
    });
}

}  // extern "C"

// at::_ops::copy_::call, under its linker name: what Tensor::copy_ of the program calls.
using CopyCall = at::TensorBase& (*)(at::TensorBase&, const at::TensorBase&, bool);
at::TensorBase& copy_call(at::TensorBase& to,
                          const at::TensorBase& from,
                          bool non_blocking) __asm__("_ZN2at4_ops5copy_4callERNS_6TensorERKS2_b");
at::TensorBase& copy_call(at::TensorBase& to, const at::TensorBase& from, bool non_blocking) {
    static const auto real =
        reinterpret_cast<CopyCall>(::dlsym(RTLD_NEXT, "_ZN2at4_ops5copy_4callERNS_6TensorERKS2_b"));
    const auto copy = [&] {
        real(to, from, non_blocking);
        return 0;
    };
    if (is_in_program(__builtin_return_address(0))) {
        static_cast<void>(with_faults(
            "copy", [&] { return "tensor/" + std::to_string(to.nbytes()); }, copy));
    } else {
        copy();
    }
    return to;
}
