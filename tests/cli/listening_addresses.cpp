#include "cli/listening_addresses.h"

#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>

#include "cli/program.h"

namespace holdfast::cli {

std::vector<std::string> listening_addresses(pid_t pid) {
    std::set<std::string> sockets;
    const std::string process = "/proc/" + std::to_string(pid);
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator(process + "/fd", gone)) {
        const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
        if (target.rfind("socket:[", 0) == 0) {
            sockets.insert(target.substr(8, target.size() - 9));
        }
    }
    std::vector<std::string> addresses;
    for (const char* table : {"/net/tcp", "/net/tcp6"}) {
        for (const std::string& line : lines_of(read_text(process + table))) {
            std::istringstream words(line);
            const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
            if (fields.size() > 9 && fields.at(3) == "0A" && sockets.count(fields.at(9)) > 0) {
                addresses.push_back(fields.at(1).substr(0, fields.at(1).find(':')));
            }
        }
    }
    return addresses;
}

}  // namespace holdfast::cli
