#include "cli/network_node.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sched.h>

namespace holdfast::cli {

namespace {

// In the child: holds the network until it is killed, or the test ends.
[[noreturn]] void hold_network(int report) {
    int error = 0;
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::unshare(CLONE_NEWNET) != 0) {
        error = errno;
    }
    if (::write(report, &error, sizeof(error)) != sizeof(error) || error != 0) {
        ::_exit(1);
    }
    ::close(report);
    for (;;) {
        ::pause();
    }
}

}  // namespace

NetworkNode::NetworkNode() {
    if (!is_installed("ip") || !is_installed("nsenter")) {
        why_not_ = "no ip or no nsenter: install the packages iproute2 and util-linux";
        return;
    }
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) {
        why_not_ = std::string("no pipe: ") + std::strerror(errno);
        return;
    }
    holder_ = ::fork();
    if (holder_ == 0) {
        ::close(pipe[0]);
        hold_network(pipe[1]);
    }
    ::close(pipe[1]);
    int error = EPIPE;
    if (holder_ < 0 || ::read(pipe[0], &error, sizeof(error)) != sizeof(error) || error != 0) {
        why_not_ = std::string("a network of its own is not allowed here: ") + std::strerror(error);
    }
    ::close(pipe[0]);
}

NetworkNode::~NetworkNode() {
    if (holder_ > 0) {
        ::kill(holder_, SIGKILL);
        ::waitpid(holder_, nullptr, 0);
    }
}

Command NetworkNode::on_this(const Command& command) const {
    std::vector<std::string> words = {
        "--net=/proc/" + std::to_string(holder_) + "/ns/net", "--", command.program};
    words.insert(words.end(), command.words.begin(), command.words.end());
    return {"nsenter", words};
}

std::string NetworkNode::connect(const NetworkNode& one,
                                 const std::string& address_of_one,
                                 const NetworkNode& other,
                                 const std::string& address_of_other) {
    // Both ends get the name of the number of the node at the other end.
    const std::string at_one = "to" + std::to_string(other.holder_);
    const std::string at_other = "to" + std::to_string(one.holder_);
    const std::array<std::pair<const NetworkNode*, std::vector<std::string>>, 7> calls = {{
        {&one,
         {"link",
          "add",
          at_one,
          "type",
          "veth",
          "peer",
          "name",
          at_other,
          "netns",
          std::to_string(other.holder_)}},
        {&one, {"address", "add", address_of_one + "/24", "dev", at_one}},
        {&other, {"address", "add", address_of_other + "/24", "dev", at_other}},
        {&one, {"link", "set", at_one, "up"}},
        {&other, {"link", "set", at_other, "up"}},
        {&one, {"link", "set", "lo", "up"}},
        {&other, {"link", "set", "lo", "up"}},
    }};
    for (const auto& [node, words] : calls) {
        const Outcome outcome = run_command(node->on_this({"ip", words}));
        if (outcome.exit_code != 0) {
            return "no cable between networks here: ip " + words.front() + ": " + outcome.log;
        }
    }
    return "";
}

}  // namespace holdfast::cli
