#include "layering/house.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string_view>

namespace holdfast::layering {
namespace {

namespace stdfs = std::filesystem;

std::string read_text(const stdfs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

bool is_source(const stdfs::path& path) {
    return path.extension() == ".cpp" || path.extension() == ".h";
}

// Every .cpp and .h under `folder`, sorted.
std::vector<stdfs::path> sources_under(const stdfs::path& folder) {
    std::vector<stdfs::path> paths;
    if (!stdfs::exists(folder)) {
        return paths;
    }
    for (const stdfs::directory_entry& entry : stdfs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file() && is_source(entry.path())) {
            paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

struct Include {
    int line = 0;
    bool quoted = false;  // "x" instead of <x>
    std::string target;
};

std::vector<Include> includes_of(const stdfs::path& path) {
    std::vector<Include> includes;
    std::istringstream lines(read_text(path));
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        const auto hash = line.find_first_not_of(" \t");
        if (hash == std::string::npos || line[hash] != '#') {
            continue;
        }
        const auto word = line.find_first_not_of(" \t", hash + 1);
        if (word == std::string::npos || line.compare(word, 7, "include") != 0) {
            continue;
        }
        const auto begin = line.find_first_of("\"<", word);
        if (begin == std::string::npos) {
            continue;
        }
        const bool quoted = line[begin] == '"';
        const auto end = line.find(quoted ? '"' : '>', begin + 1);
        includes.push_back({number, quoted, line.substr(begin + 1, end - begin - 1)});
    }
    return includes;
}

// The first folder of "room/file.h"; empty without one.
std::string first_folder(const std::string& path) {
    const auto slash = path.find('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string room_of(const stdfs::path& root, const stdfs::path& source) {
    return stdfs::relative(source, root / "src").begin()->string();
}

std::string place(const stdfs::path& root, const stdfs::path& source, int line) {
    return stdfs::relative(source, root).string() + ':' + std::to_string(line) + ": ";
}

bool is_torch_header(const std::string& target) {
    static constexpr std::array kFolders{"ATen", "c10", "torch", "caffe2"};
    const std::string folder = first_folder(target);
    return std::find(kFolders.begin(), kFolders.end(), folder) != kFolders.end();
}

// Whether `word` stands in `text` with no character of a file name on either side.
bool names(const std::string& text, const std::string& word) {
    const auto is_part = [&](std::size_t position) {
        const unsigned char character =
            position < text.size() ? static_cast<unsigned char>(text[position]) : ' ';
        return std::isalnum(character) != 0 || character == '_' || character == '.';
    };
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
        if ((at == 0 || !is_part(at - 1)) && !is_part(at + word.size())) {
            return true;
        }
    }
    return false;
}

// The lines of a CMakeLists.txt without comments.
std::string cmake_text(const stdfs::path& folder) {
    std::istringstream lines(read_text(folder / "CMakeLists.txt"));
    std::string text;
    for (std::string line; std::getline(lines, line);) {
        text += line.substr(0, line.find('#')) + '\n';
    }
    return text;
}

}  // namespace

std::vector<Room> read_rooms(const stdfs::path& root, std::vector<std::string>& problems) {
    return parse_room_table(read_text(root / "docs" / "architecture.md"), problems);
}

std::vector<std::string> folders_without_a_row(const stdfs::path& root,
                                               const std::vector<Room>& rooms) {
    std::set<std::string> folders;
    for (const stdfs::path& source : sources_under(root / "src")) {
        folders.insert(room_of(root, source));
    }
    std::vector<std::string> problems;
    for (const std::string& folder : folders) {
        if (find_room(rooms, folder) == nullptr) {
            problems.push_back("src/" + folder + " is not in the table of docs/architecture.md");
        }
    }
    return problems;
}

std::vector<std::string> includes_without_an_arrow(const stdfs::path& root,
                                                   const std::vector<Room>& rooms) {
    std::vector<std::string> problems;
    for (const stdfs::path& source : sources_under(root / "src")) {
        const std::string name = room_of(root, source);
        const Room* room = find_room(rooms, name);
        for (const Include& include : includes_of(source)) {
            // A header that the build generates is named by the CMakeLists.txt of its room.
            if (!include.quoted || names(cmake_text(source.parent_path()), include.target)) {
                continue;
            }
            const std::string where = place(root, source, include.line);
            const std::string target = first_folder(include.target);
            if (target.empty() || find_room(rooms, target) == nullptr) {
                problems.push_back(where + '"' + include.target + "\" is not written room/file.h");
            } else if (!stdfs::exists(root / "src" / include.target)) {
                problems.push_back(where + '"' + include.target + "\" does not exist");
            } else if (target != name &&
                       (room == nullptr ||
                        std::find(room->may_include.begin(), room->may_include.end(), target) ==
                            room->may_include.end())) {
                problems.push_back(where + name + " must not include " + target);
            }
        }
    }
    return problems;
}

std::vector<std::string> torch_where_it_must_not_be(const stdfs::path& root,
                                                    const std::vector<Room>& rooms) {
    std::vector<std::string> problems;
    for (const stdfs::path& source : sources_under(root / "src")) {
        const Room* room = find_room(rooms, room_of(root, source));
        if (room == nullptr || room->torch.everywhere ||
            room->torch.only_unit == source.stem().string()) {
            continue;
        }
        for (const Include& include : includes_of(source)) {
            if (is_torch_header(include.target)) {
                problems.push_back(place(root, source, include.line) +
                                   "no torch here: " + include.target);
            }
        }
    }
    return problems;
}

std::vector<std::string> disk_access_outside_fs(const stdfs::path& root) {
    static constexpr std::array kHeaders{"fstream", "sys/statvfs.h", "sys/statfs.h"};
    std::vector<std::string> problems;
    for (const stdfs::path& source : sources_under(root / "src")) {
        if (room_of(root, source) == "fs") {
            continue;
        }
        for (const Include& include : includes_of(source)) {
            if (std::find(kHeaders.begin(), kHeaders.end(), include.target) != kHeaders.end()) {
                problems.push_back(place(root, source, include.line) + '<' + include.target +
                                   "> belongs to the room fs");
            }
        }
    }
    return problems;
}

std::vector<std::string> shared_basenames(const stdfs::path& root) {
    std::map<std::string, std::set<std::string>> folders_of;
    for (const char* top : {"src", "tests"}) {
        for (const stdfs::path& source : sources_under(root / top)) {
            folders_of[source.stem().string()].insert(
                stdfs::relative(source.parent_path(), root).string());
        }
    }
    std::vector<std::string> problems;
    for (const auto& [basename, folders] : folders_of) {
        if (folders.size() > 1) {
            std::string line = "the basename " + basename + " is taken more than once:";
            for (const std::string& folder : folders) {
                line += ' ' + folder;
            }
            problems.push_back(line);
        }
    }
    return problems;
}

std::vector<std::string> sources_outside_the_build(const stdfs::path& root) {
    std::vector<std::string> problems;
    std::set<stdfs::path> folders;
    for (const char* top : {"src", "tests"}) {
        for (const stdfs::path& source : sources_under(root / top)) {
            if (source.extension() != ".cpp") {
                continue;
            }
            folders.insert(source.parent_path());
            if (!names(cmake_text(source.parent_path()), source.filename().string())) {
                problems.push_back(stdfs::relative(source, root).string() +
                                   " is not listed in the CMakeLists.txt of its folder");
            }
        }
    }
    for (const stdfs::path& folder : folders) {
        const std::string parent = cmake_text(folder.parent_path());
        const std::string command = "add_subdirectory(" + folder.filename().string();
        if (parent.find(command + ')') == std::string::npos &&
            parent.find(command + ' ') == std::string::npos) {
            problems.push_back(stdfs::relative(folder, root).string() +
                               " is not added by the CMakeLists.txt above it");
        }
    }
    return problems;
}

}  // namespace holdfast::layering
