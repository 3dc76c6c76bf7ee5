// What the saver of rank 0 asks of the other ranks' snapshots, and what they answer: texts in the
// store of the run, beside the step loop. Values; pure functions; any thread.
//
// Order number n lies under "save/<n>", its answers under "save/<n>/<rank>".
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "checkpoint/part_record.h"

namespace holdfast::train {

enum class PartOrderKind {
    kScan,   // is every number of the snapshot finite?
    kWrite,  // write your part into the pending directory
};

struct PartOrder {
    PartOrderKind kind = PartOrderKind::kScan;
    std::int64_t ticket = 0;  // of the snapshot that is meant
    std::string directory;    // of the pending save; kWrite only
};

std::string print_part_order(const PartOrder& order);
base::Result<PartOrder> parse_part_order(const std::string& text);

struct PartAnswer {
    std::string poison;  // kScan: the first number that is not finite, in words; empty: none
    checkpoint::PartRecord record;  // kWrite
};

std::string print_part_answer(const base::Result<PartAnswer>& answer);
// The error that the rank met is the error here, "rank 2: ..." before it.
base::Result<PartAnswer> parse_part_answer(const std::string& text, std::int64_t rank);

// A path as the other ranks must be told it: they may have been started in other folders. All who
// tell or compare one make it here, so that equal places are equal texts.
std::string path_for_all_ranks(const std::string& path);

std::string part_order_key(std::int64_t number);
std::string part_answer_key(std::int64_t number, std::int64_t rank);

}  // namespace holdfast::train
