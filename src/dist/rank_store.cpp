#include "dist/rank_store.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <netdb.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace holdfast::dist {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

std::chrono::milliseconds to_milliseconds(double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1e3));
}

Error store_error(const StoreAddress& address, std::string_view verb, const char* what) {
    return {ErrorKind::kIo,
            fmt::format("cannot {} the store of the run at {}:{}: {}",
                        verb,
                        address.host,
                        address.port,
                        first_line(what)),
            0};
}

// Runs `call` and turns what libtorch throws into an Error.
template <typename Call>
auto guarded(const StoreAddress& address, std::string_view verb, Call&& call)
    -> Result<decltype(call())> {
    try {
        return call();
    } catch (const std::exception& error) {
        return store_error(address, verb, error.what());
    }
}

struct AddressList {
    addrinfo* first = nullptr;
    AddressList() = default;
    AddressList(const AddressList&) = delete;
    AddressList& operator=(const AddressList&) = delete;
    AddressList(AddressList&&) = delete;
    AddressList& operator=(AddressList&&) = delete;
    ~AddressList() {
        if (first != nullptr) {
            ::freeaddrinfo(first);
        }
    }
};

// getaddrinfo's answer: 0, or what gai_strerror() puts in words.
int find_addresses(const std::string& host, std::uint16_t port, int type, AddressList& addresses) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = type;
    const std::string service = fmt::format("{}", port);
    return ::getaddrinfo(host.c_str(), service.c_str(), &hints, &addresses.first);
}

std::uint16_t bound_port(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API is made of it
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
        return 0;
    }
    // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast)
    return storage.ss_family == AF_INET6
               ? ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port)
               : ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
    // NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)
}

}  // namespace

std::string first_line(const char* text) {
    const std::string whole = text;
    return whole.substr(0, whole.find('\n'));
}

Result<BoundSocket> bind_socket(const std::string& host, std::uint16_t port) {
    AddressList addresses;
    const int resolved = find_addresses(host, port, SOCK_STREAM, addresses);
    if (resolved != 0) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("the master address '{}' has no address: {}; give one that this "
                                 "machine knows (--master-addr)",
                                 host,
                                 ::gai_strerror(resolved)),
                     0};
    }
    int last_errno = 0;
    for (const addrinfo* at = addresses.first; at != nullptr; at = at->ai_next) {
        const int fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd < 0) {
            last_errno = errno;
            continue;
        }
        const int on = 1;
        if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
            ::bind(fd, at->ai_addr, at->ai_addrlen) == 0 && ::listen(fd, SOMAXCONN) == 0) {
            return BoundSocket{fd, bound_port(fd)};
        }
        last_errno = errno;
        static_cast<void>(::close(fd));
    }
    Error error = base::error_from_errno("listen on", fmt::format("{}:{}", host, port), last_errno);
    if (last_errno == EADDRINUSE) {
        error.what += "; another run may be using the port: choose another --master-port";
    } else if (last_errno == EADDRNOTAVAIL) {
        error.what += "; rank 0 must run on the machine that --master-addr names";
    }
    return error;
}

std::string why_unreachable(const std::string& host, std::uint16_t port) {
    constexpr int kPatienceMilliseconds = 1000;
    AddressList addresses;
    const int resolved = find_addresses(host, port, SOCK_STREAM, addresses);
    if (resolved != 0) {
        return fmt::format("'{}' has no address ({})", host, ::gai_strerror(resolved));
    }
    int last_errno = ETIMEDOUT;
    for (const addrinfo* at = addresses.first; at != nullptr; at = at->ai_next) {
        const int fd = ::socket(
            at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
        if (fd < 0) {
            last_errno = errno;
            continue;
        }
        int result = ::connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (result == EINPROGRESS) {
            pollfd polled{fd, POLLOUT, 0};
            socklen_t size = sizeof(result);
            if (::poll(&polled, 1, kPatienceMilliseconds) != 1) {
                result = ETIMEDOUT;
            } else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0) {
                result = errno;
            }
        }
        static_cast<void>(::close(fd));
        if (result == 0) {
            return "";
        }
        last_errno = result;
    }
    return std::generic_category().message(last_errno);
}

Result<std::string> address_towards(const std::string& host, std::uint16_t port) {
    AddressList addresses;
    const int resolved = find_addresses(host, port, SOCK_DGRAM, addresses);
    if (resolved == 0) {
        for (const addrinfo* at = addresses.first; at != nullptr; at = at->ai_next) {
            const int fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
            if (fd < 0) {
                continue;
            }
            // Connecting a datagram socket only chooses the way.
            sockaddr_storage local{};
            socklen_t size = sizeof(local);
            std::array<char, NI_MAXHOST> text{};
            // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast)
            const bool is_known =
                ::connect(fd, at->ai_addr, at->ai_addrlen) == 0 &&
                ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0 &&
                ::getnameinfo(reinterpret_cast<const sockaddr*>(&local),
                              size,
                              text.data(),
                              text.size(),
                              nullptr,
                              0,
                              NI_NUMERICHOST) == 0;
            // NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)
            static_cast<void>(::close(fd));
            if (is_known) {
                return std::string(text.data());
            }
        }
    }
    return Error{ErrorKind::kInvalid,
                 fmt::format("this machine knows no way to the master address '{}'; give one that "
                             "all nodes reach (--master-addr)",
                             host),
                 0};
}

RankStore::RankStore(StoreAddress address, c10::intrusive_ptr<c10d::Store> store)
    : address_(std::move(address)), store_(std::move(store)) {}

RankStore::~RankStore() = default;

Result<std::unique_ptr<RankStore>> RankStore::open(const StoreAddress& address) {
    StoreAddress used = address;
    c10d::TCPStoreOptions options;
    options.isServer = address.serves;
    options.waitWorkers = false;
    options.timeout =
        to_milliseconds(address.serves ? address.timeout_seconds : address.connect_seconds);
    if (address.serves) {
        int fd = address.listen_fd;
        if (fd < 0) {
            // Its own socket, since the store's would listen on every interface.
            const Result<BoundSocket> bound = bind_socket(address.host, address.port);
            if (!bound.ok()) {
                return bound.error();
            }
            fd = bound.value().fd;
            used.port = bound.value().port;
        }
        options.masterListenFd = fd;
        used.listen_fd = -1;
    }
    options.port = used.port;
    Result<std::unique_ptr<RankStore>> opened =
        guarded(used, address.serves ? "serve" : "reach", [&] {
            c10::intrusive_ptr<c10d::Store> server =
                c10::make_intrusive<c10d::TCPStore>(used.host, options);
            server->setTimeout(to_milliseconds(address.timeout_seconds));
            auto mine = c10::make_intrusive<c10d::PrefixStore>("holdfast/" + used.token, server);
            // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
            return std::unique_ptr<RankStore>(new RankStore(used, std::move(mine)));
        });
    if (!opened.ok() && !address.serves) {
        const std::string why = why_unreachable(used.host, used.port);
        if (!why.empty()) {
            return store_error(used, "reach", why.c_str());
        }
    }
    return opened;
}

Result<std::unique_ptr<RankStore>> RankStore::connect_again() const {
    StoreAddress client = address_;
    client.serves = false;
    client.connect_seconds = client.timeout_seconds;
    return open(client);
}

Status RankStore::set(const std::string& key, const std::string& value) {
    const Result<bool> done = guarded(address_, "write to", [&] {
        store_->set(key, value);
        return true;
    });
    return done.ok() ? Status{} : Status(done.error());
}

Result<std::string> RankStore::get(const std::string& key, double timeout_seconds) {
    try {
        store_->wait({key}, to_milliseconds(timeout_seconds));
    } catch (const std::exception& error) {
        // The store throws one type for "not in time" and another for a broken connection; a
        // question that does not wait tells which it was.
        const Result<std::optional<std::string>> now = try_get(key);
        if (!now.ok()) {
            return now.error();
        }
        if (!now.value()) {
            return Error{ErrorKind::kNotFound,
                         fmt::format("no answer under '{}' within {} s: {}",
                                     key,
                                     timeout_seconds,
                                     first_line(error.what())),
                         0};
        }
        return *now.value();
    }
    return guarded(address_, "read from", [&] { return store_->get_to_str(key); });
}

Result<std::optional<std::string>> RankStore::try_get(const std::string& key) {
    return guarded(address_, "read from", [&]() -> std::optional<std::string> {
        if (!store_->check({key})) {
            return std::nullopt;
        }
        return store_->get_to_str(key);
    });
}

Result<std::int64_t> RankStore::add(const std::string& key, std::int64_t amount) {
    return guarded(address_, "write to", [&] { return store_->add(key, amount); });
}

Status RankStore::erase(const std::string& key) {
    const Result<bool> done = guarded(address_, "write to", [&] { return store_->deleteKey(key); });
    return done.ok() ? Status{} : Status(done.error());
}

}  // namespace holdfast::dist
