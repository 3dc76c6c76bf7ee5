// A small run whose batch several ranks can share, whoever starts them.
#pragma once

#include <string>
#include <vector>

#include "cli/small_run.h"

namespace holdfast::cli {

class ManyRanks : public SmallRun {
protected:
    static std::vector<std::string> with(std::vector<std::string> options,
                                         const std::vector<std::string>& more);
    // For four lanes; one thread a rank, since threads are part of the bits.
    static std::vector<std::string> options_of(int ranks,
                                               const std::vector<std::string>& more = {});
    // The same without who starts how many: for ranks that another launcher starts.
    static std::vector<std::string> options_of_each(const std::vector<std::string>& more = {});
    // Lets the config file say how many ranks there are.
    void configure_ranks(const std::string& count) const;
};

// A TCP port that nobody has now.
std::string free_port();

}  // namespace holdfast::cli
