// The small store of keys and values through which ranks find each other and tell each other what
// is not for the step loop: c10d's TCPStore, served by rank 0 (or by torchrun's agent).
//
// All keys lie under the token of the run, so that two runs that meet on one port never read each
// other's. Owns one connection; use one RankStore a thread (connect_again()). Every call may block
// for the network. Errors: kIo when the store is gone or refuses; kNotFound when a key did not come
// in time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <c10/util/intrusive_ptr.h>

#include "base/result.h"

namespace c10d {
class Store;
}  // namespace c10d

namespace holdfast::dist {

struct StoreAddress {
    std::string host;  // of the rank that serves it
    std::uint16_t port = 0;
    bool serves = false;  // this process is the server
    // A bound socket to serve on, taken over. -1: one is made, on `host` when that is an address of
    // this machine.
    int listen_fd = -1;
    std::string token;  // of the run
    double timeout_seconds = 60;
    // How long a server that is not there yet is waited for.
    double connect_seconds = 60;
};

class RankStore {
public:
    // Serves or connects. Says of a server that was not reached whether its host has no address,
    // or how the host answered.
    static base::Result<std::unique_ptr<RankStore>> open(const StoreAddress& address);
    ~RankStore();
    RankStore(const RankStore&) = delete;
    RankStore& operator=(const RankStore&) = delete;
    RankStore(RankStore&&) = delete;
    RankStore& operator=(RankStore&&) = delete;

    // Another connection to the same store.
    [[nodiscard]] base::Result<std::unique_ptr<RankStore>> connect_again() const;

    base::Status set(const std::string& key, const std::string& value);
    // Waits for the key.
    base::Result<std::string> get(const std::string& key, double timeout_seconds);
    // Does not wait.
    base::Result<std::optional<std::string>> try_get(const std::string& key);
    // Adds to a number (0 when new) and answers the sum.
    base::Result<std::int64_t> add(const std::string& key, std::int64_t amount);
    base::Status erase(const std::string& key);

    [[nodiscard]] const StoreAddress& address() const { return address_; }
    // For making process groups.
    [[nodiscard]] const c10::intrusive_ptr<c10d::Store>& handle() const { return store_; }

private:
    RankStore(StoreAddress address, c10::intrusive_ptr<c10d::Store> store);

    StoreAddress address_;
    c10::intrusive_ptr<c10d::Store> store_;
};

// A bound TCP socket on `host` and `port` (0: any free one), with its port; close it yourself.
struct BoundSocket {
    int fd = -1;
    std::uint16_t port = 0;
};
base::Result<BoundSocket> bind_socket(const std::string& host, std::uint16_t port);

// Why nobody can be spoken to at `host` and `port`, in words: "'gpu01' has no address (Name or
// service not known)", "Connection refused"; empty when somebody can. Blocks for a second at most,
// and for the resolver.
std::string why_unreachable(const std::string& host, std::uint16_t port);

// The address of this machine from which `host` is reached: what others can reach it by. Sends
// nothing. kInvalid when there is no way to it.
base::Result<std::string> address_towards(const std::string& host, std::uint16_t port);

// The first line of an exception's text, without the stack that libtorch appends.
std::string first_line(const char* text);

}  // namespace holdfast::dist
