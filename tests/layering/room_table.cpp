#include "layering/room_table.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <sstream>

namespace holdfast::layering {
namespace {

std::string trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" `");
    const auto end = text.find_last_not_of(" `");
    return begin == std::string_view::npos ? "" : std::string(text.substr(begin, end - begin + 1));
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) {
        words.push_back(word);
    }
    return words;
}

// The cells of "| a | b |"; nothing for another line.
std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells;
    if (line.empty() || line.front() != '|') {
        return cells;
    }
    std::size_t begin = 1;
    for (std::size_t end = line.find('|', begin); end != std::string_view::npos;
         end = line.find('|', begin)) {
        cells.push_back(trimmed(line.substr(begin, end - begin)));
        begin = end + 1;
    }
    return cells;
}

bool is_number(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char character) {
        return std::isdigit(character) != 0;
    });
}

TorchRule parse_torch_rule(const std::string& cell,
                           const std::string& room,
                           std::vector<std::string>& problems) {
    const std::vector<std::string> words = words_of(cell);
    if (words.size() == 2 && words[1] == "only") {
        return {false, words[0]};
    }
    if (cell != "yes" && cell != "no") {
        problems.push_back("the row of " + room + " says '" + cell +
                           "' about torch; it must be yes, no or 'UNIT only'");
    }
    return {cell == "yes", ""};
}

void spell_out_all_below(std::vector<Room>& rooms) {
    for (Room& room : rooms) {
        if (room.may_include != std::vector<std::string>{"all", "below"}) {
            continue;
        }
        room.may_include.clear();
        for (const Room& other : rooms) {
            if (other.floor < room.floor) {
                room.may_include.push_back(other.name);
            }
        }
    }
}

// Whether `target` can be reached from `from` along arrows.
bool reaches(const std::vector<Room>& rooms,
             const Room& from,
             const std::string& target,
             std::vector<std::string>& seen) {
    for (const std::string& next : from.may_include) {
        if (next == target) {
            return true;
        }
        if (std::find(seen.begin(), seen.end(), next) != seen.end()) {
            continue;
        }
        seen.push_back(next);
        const Room* room = find_room(rooms, next);
        if (room != nullptr && reaches(rooms, *room, target, seen)) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::vector<Room> parse_room_table(std::string_view markdown, std::vector<std::string>& problems) {
    std::vector<Room> rooms;
    std::istringstream lines{std::string(markdown)};
    for (std::string line; std::getline(lines, line);) {
        const std::vector<std::string> cells = cells_of(line);
        if (cells.empty() || !is_number(cells[0])) {
            continue;
        }
        if (cells.size() != 5) {
            problems.push_back("a row of the table has not five cells: " + line);
            continue;
        }
        Room room;
        room.floor = std::stoi(cells[0]);
        room.name = cells[1];
        if (cells[3] != "–") {
            room.may_include = words_of(cells[3]);
        }
        room.torch = parse_torch_rule(cells[4], room.name, problems);
        rooms.push_back(std::move(room));
    }
    spell_out_all_below(rooms);
    for (const Room& room : rooms) {
        for (const std::string& target : room.may_include) {
            if (find_room(rooms, target) == nullptr) {
                problems.push_back("the row of " + room.name + " names an unknown room: " + target);
            }
        }
    }
    return rooms;
}

const Room* find_room(const std::vector<Room>& rooms, std::string_view name) {
    const auto found = std::find_if(
        rooms.begin(), rooms.end(), [name](const Room& room) { return room.name == name; });
    return found == rooms.end() ? nullptr : &*found;
}

std::vector<std::string> table_problems(const std::vector<Room>& rooms) {
    std::vector<std::string> problems;
    for (const Room& room : rooms) {
        for (const std::string& target : room.may_include) {
            const Room* other = find_room(rooms, target);
            if (other != nullptr && other->floor > room.floor) {
                problems.push_back("the arrow " + room.name + " -> " + target + " goes up");
            }
        }
        std::vector<std::string> seen;
        if (reaches(rooms, room, room.name, seen)) {
            problems.push_back("the table has a circle through " + room.name);
        }
    }
    return problems;
}

}  // namespace holdfast::layering
