// The rules of the house that can be read from its files. Each function looks at the tree under
// `root` (src/, tests/, docs/architecture.md) and returns what breaks its rule, one line each, in
// the order of the paths.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "layering/room_table.h"

namespace holdfast::layering {

// The rooms of docs/architecture.md under `root`.
std::vector<Room> read_rooms(const std::filesystem::path& root, std::vector<std::string>& problems);

// A folder of src/ that the table does not name.
std::vector<std::string> folders_without_a_row(const std::filesystem::path& root,
                                               const std::vector<Room>& rooms);

// An include of src/ that is no arrow of the table, is not written "room/file.h", or names a file
// that does not exist. A header that the CMakeLists.txt of the room names is generated, and free.
std::vector<std::string> includes_without_an_arrow(const std::filesystem::path& root,
                                                   const std::vector<Room>& rooms);

// A header of libtorch in a room, or a unit, that the table keeps free of it.
std::vector<std::string> torch_where_it_must_not_be(const std::filesystem::path& root,
                                                    const std::vector<Room>& rooms);

// A header of file streams or of the disk's space outside the room fs.
std::vector<std::string> disk_access_outside_fs(const std::filesystem::path& root);

// Two units of src/ and tests/ with one basename: a header and its source are one unit.
std::vector<std::string> shared_basenames(const std::filesystem::path& root);

// A .cpp of src/ or tests/ that the CMakeLists.txt of its folder does not list, and a folder of
// them whose parent does not add it.
std::vector<std::string> sources_outside_the_build(const std::filesystem::path& root);

}  // namespace holdfast::layering
