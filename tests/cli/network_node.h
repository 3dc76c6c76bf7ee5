// A node of a network made for a test: a network of its own (unshare(2)), which has no name and
// goes with the process that holds it, however this one ends. Needs root and iproute2.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "cli/program.h"

namespace holdfast::cli {

class NetworkNode {
public:
    NetworkNode();
    ~NetworkNode();
    NetworkNode(const NetworkNode&) = delete;
    NetworkNode& operator=(const NetworkNode&) = delete;
    NetworkNode(NetworkNode&&) = delete;
    NetworkNode& operator=(NetworkNode&&) = delete;

    // Why there is none; empty when there is.
    [[nodiscard]] const std::string& why_not() const { return why_not_; }

    // The command that runs `command` on this node; its process is the one that is started.
    [[nodiscard]] Command on_this(const Command& command) const;

    // A cable between two nodes; each end gets its IPv4 address, of one /24 network. Empty, or what
    // ip(8) said against it.
    static std::string connect(const NetworkNode& one,
                               const std::string& address_of_one,
                               const NetworkNode& other,
                               const std::string& address_of_other);

private:
    pid_t holder_ = -1;
    std::string why_not_;
};

}  // namespace holdfast::cli
