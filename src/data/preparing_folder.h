// The folder a dataset is written in before it exists: "<out_dir>.preparing", renamed whole.
//
// At every instant, whatever dies, `out_dir` is absent, empty, the dataset it was, or the new one
// (while one replaces another it may be absent, with the old one in "<out_dir>.replaced"; the next
// claim() puts that back).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::data {

// Whether a name in a prepared folder is one that prepare() writes, temporary names included.
bool is_dataset_file(const std::string& name);

// kInvalid unless `out_dir` is absent or a real folder; kExists when it holds something that is not
// part of a dataset. True when it has files of a dataset in it.
base::Result<bool> holds_dataset_files(fs::FileSystem& file_system, const std::string& out_dir);

// One thread at a time; every call may block on the disk.
class PreparingFolder {
public:
    // Makes and locks the folder, and clears what a killed call left. kBusy while another process
    // holds it. `out_dir` has no '/' at its end.
    static base::Result<PreparingFolder> claim(fs::FileSystem& file_system,
                                               const std::string& out_dir);

    PreparingFolder(PreparingFolder&&) noexcept = default;
    PreparingFolder& operator=(PreparingFolder&&) noexcept = delete;
    PreparingFolder(const PreparingFolder&) = delete;
    PreparingFolder& operator=(const PreparingFolder&) = delete;
    // Unless published: removes the folder with all that is in it.
    ~PreparingFolder();

    [[nodiscard]] const std::string& path() const { return path_; }

    // Makes it `out_dir`, in place of the dataset that is there if there is one. The files in it
    // must be synced.
    base::Status publish();

private:
    PreparingFolder(fs::FileSystem& file_system,
                    std::string out_dir,
                    std::unique_ptr<fs::File> lock);

    base::Status put_back_replaced();

    fs::FileSystem* file_system_;
    std::string out_dir_;
    std::string path_;
    std::unique_ptr<fs::File> lock_;  // none after publish() or a move
};

}  // namespace holdfast::data
