// The only place that makes or parses names in a run directory.
//
// Grammar (D8 = at least eight decimal digits, D5 = at least five, N = a number >= 2 without
// leading zeros):
//
//   step      = "step_" D8 [ "-r" N ] [ "." N ]                        rolling, best, keep, backup
//   emergency = "step_" D8 "_" YYYYMMDD "_" HHMMSS [ "-r" N ] [ "." N ]   UTC
//   epoch     = "epoch_" D5 [ "-r" N ] [ "." N ]
//   pending   = ".pending-" 16 lower-case hex digits (the save id)
//   trash     = ".trash/" 16 hex digits
//   quarantine = D6 "_" pool "_" name of the entry
//   copying   = ".copying-" 16 hex digits, beside the target of `checkpoints copy`
//
// "-r" is the lineage (absent: 1), "." a suffix taken when the name was not free. Names are for
// people: identity stands in the manifest. Pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::checkpoint {

// Where an entry lives. Each pool is deleted from without looking at another.
enum class Pool {
    kRolling,
    kEmergency,
    kBest,
    kEpoch,
    kKeep,
    kBackupRolling,
    kBackupBest,
};

inline constexpr std::array kAllPools{Pool::kRolling,
                                      Pool::kEmergency,
                                      Pool::kBest,
                                      Pool::kEpoch,
                                      Pool::kKeep,
                                      Pool::kBackupRolling,
                                      Pool::kBackupBest};

// The two sides of a store, each written by one thread: what the saver owns, and the second copies.
inline constexpr std::array kRunPools{
    Pool::kRolling, Pool::kEmergency, Pool::kBest, Pool::kEpoch, Pool::kKeep};
inline constexpr std::array kBackupPools{Pool::kBackupRolling, Pool::kBackupBest};

// "rolling", "backup/best": the folder, and the word in manifests and messages.
std::string_view to_string(Pool pool);
std::optional<Pool> parse_pool(std::string_view text);
// Backup pools hold real second copies, never hard links.
bool is_backup(Pool pool);

enum class NameForm { kStep, kEmergency, kEpoch };

struct CheckpointName {
    NameForm form = NameForm::kStep;
    std::int64_t number = 0;   // step, or epoch for kEpoch
    std::string utc_compact;   // "20261122_140501", kEmergency only
    std::int64_t lineage = 1;  // >= 1
    std::int64_t suffix = 1;   // 1: none
    bool operator==(const CheckpointName&) const = default;
};

std::string to_string(const CheckpointName& name);
// Nothing when `text` is not exactly what to_string would print.
std::optional<CheckpointName> parse_checkpoint_name(std::string_view text);

// The name an entry takes in a pool. `step`, `epoch` and `lineage` come from its manifest,
// `utc_seconds` is when it was made (used by the emergency pool alone).
CheckpointName name_in_pool(Pool pool,
                            std::int64_t step,
                            std::int64_t epoch,
                            std::int64_t lineage,
                            std::int64_t utc_seconds);

// A save id: 16 hex digits from the system's randomness, new with every call.
std::string make_save_id();
bool is_save_id(std::string_view text);

// ".pending-0123456789abcdef" and back.
std::string pending_name(std::string_view save_id);
std::optional<std::string> parse_pending_name(std::string_view text);

// "000007_rolling_step_00000500", in quarantine: at least six digits, then what it was.
bool is_quarantine_name(std::string_view text);

// "run.json.new", "latest.new", "metrics.<...>.jsonl.new": what becomes the file by a rename.
bool is_temporary_name(std::string_view text);

// ".copying-0123456789abcdef"
std::string copying_name(std::string_view save_id);

// "<directory>_run_20261122_140501": the sibling a run of another identity gets.
std::string sibling_run_name(std::string_view directory_name, std::int64_t utc_seconds);
bool is_sibling_run_name(std::string_view candidate, std::string_view directory_name);

inline constexpr std::string_view kManifestName = "checkpoint.json";
inline constexpr std::string_view kRunFileName = "run.json";
// In the root of the second copies: which run they are of. Not kRunFileName: it is no run
// directory.
inline constexpr std::string_view kBackupMarkName = "backup.json";
inline constexpr std::string_view kLatestName = "latest";
inline constexpr std::string_view kLockName = "lock";
inline constexpr std::string_view kLogName = "metrics.jsonl";
inline constexpr std::string_view kQuarantineName = "quarantine";
// In an entry in quarantine. Hidden: an entry that is put back is judged by its own files.
inline constexpr std::string_view kQuarantineReasonName = ".why";
inline constexpr std::string_view kBackupName = "backup";
inline constexpr std::string_view kTrashName = ".trash";
inline constexpr std::string_view kTensorboardName = "tensorboard";
inline constexpr std::string_view kModelFileName = "model.safetensors";
// "optimizer-00001-of-00004.safetensors"; part counts from 1.
std::string optimizer_file_name(std::int64_t part, std::int64_t part_count);

// The log lines that a resume at (lineage, save id) cut off: "metrics.2-0123456789abcdef.jsonl".
std::string log_tail_name(std::int64_t lineage, std::string_view save_id, std::int64_t suffix);

}  // namespace holdfast::checkpoint
