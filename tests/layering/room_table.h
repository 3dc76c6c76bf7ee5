// The table of rooms in docs/architecture.md: which room may include which.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::layering {

// Whether a room may name headers of libtorch: every file, none, or the files of one unit.
struct TorchRule {
    bool everywhere = false;
    std::string only_unit;  // "batch_loader": batch_loader.h and batch_loader.cpp alone
};

struct Room {
    int floor = 0;
    std::string name;
    std::vector<std::string> may_include;  // "all below" is spelled out
    TorchRule torch;
};

// The rooms in the order of the table: the rows of `markdown` whose first cell is a number. What a
// row says wrongly (an unknown room, a cell that is missing) is added to `problems`, one line each.
std::vector<Room> parse_room_table(std::string_view markdown, std::vector<std::string>& problems);

// The room called `name`, or nullptr.
const Room* find_room(const std::vector<Room>& rooms, std::string_view name);

// What is wrong with the table itself, one line each: an arrow to a higher floor, a circle.
std::vector<std::string> table_problems(const std::vector<Room>& rooms);

}  // namespace holdfast::layering
