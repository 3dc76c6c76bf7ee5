#include "faults/kill_points.h"

namespace holdfast::faults {

namespace {

const std::vector<std::string_view> kAround{"kill-before", "kill-after"};
const std::vector<std::string_view> kThrough{"kill-before", "kill-half", "kill-after"};
const std::vector<std::string_view> kBefore{"kill-before"};
const std::vector<std::string_view> kAfter{"kill-after"};
const std::vector<std::string_view> kHalf{"kill-half"};

constexpr std::string_view kModelWrite = "write of the model file";
constexpr std::string_view kOwed = "between rename and owed pools";
constexpr std::string_view kTrash = "rename into the trash";
constexpr std::string_view kAppend = "append to the log";
constexpr std::string_view kCopyWrite = "copy: write of a file";
constexpr std::string_view kCopyTrash = "old copy: rename into the trash";

}  // namespace

const std::vector<KillPoint>& kill_points() {
    static const std::vector<KillPoint> points{
        {kModelWrite, {{"pwrite", "*/.pending-*/model.safetensors", 3, kThrough}}, ""},
        {"write of the optimizer file",
         {{"pwrite", "*/.pending-*/optimizer-*", 3, kThrough},
          {"fallocate", "*/.pending-*/optimizer-*", 3, kAround}},
         ""},
        {"sync of a file", {{"fsync", "*/.pending-*/*.safetensors", 6, kAround}}, ""},
        {"reading back", {{"pread", "*/.pending-*/*.safetensors", 6, kBefore}}, ""},
        {"before the manifest", {{"open", "*/.pending-*/checkpoint.json", 3, kAround}}, ""},
        {"in the manifest",
         {{"pwrite", "*/.pending-*/checkpoint.json", 3, kThrough},
          {"fsync", "*/.pending-*/checkpoint.json", 3, kAround}},
         ""},
        {"after the manifest",
         {{"fsync", "*/.pending-????????????????", 3, kAround},
          {"rename", "*/rolling/step_*", 3, kBefore}},
         ""},
        {kOwed,
         {{"rename", "*/rolling/step_*", 3, kAfter},
          {"fsync", "*/rolling", 3, kAround},
          {"link", "*/.pending-*/model.safetensors", 2, kBefore}},
         ""},
        {"links of an owed pool",
         {{"link", "*/.pending-*/*", 6, kAfter},
          {"rename", "*/best/step_*", 2, kAround},
          {"rename", "*/keep/step_*", 2, kAround},
          {"fsync", "*/best", 2, kAround}},
         ""},
        {"latest",
         {{"symlink", "*/latest.new", 3, kAround}, {"rename", "*/latest", 3, kAround}},
         ""},
        {kTrash, {{"rename", "*/.trash/*", 3, kAround}, {"fsync", "*/.trash", 3, kAround}}, ""},
        {"unlinking",
         {{"unlink", "*/.trash/*", 6, kAround}, {"rmdir", "*/.trash/*", 3, kAround}},
         ""},
        {kAppend, {{"pwrite", "*/metrics.jsonl", 9, kThrough}}, ""},
        {"sync of the log", {{"fsync", "*/metrics.jsonl", 3, kAround}}, ""},
        {"restoring the state", {{"copy", "tensor/[1-9]?????*", 3, kAround}}, ""},
        {"recovery: cutting the log",
         {{"open", "*/metrics.*-*.jsonl.new", 1, kAround},
          {"pwrite", "*/metrics.*-*.jsonl.new", 1, kHalf},
          {"rename", "*/metrics.*-*.jsonl", 1, kAround},
          {"ftruncate", "*/metrics.jsonl", 1, kAround}},
         kAppend},
        {"recovery: clearing a pending save",
         {{"unlink", "*/.pending-*/model.safetensors", 1, kAround},
          {"rmdir", "*/.pending-*", 1, kAround}},
         kModelWrite},
        {"recovery: joining an owed pool",
         {{"mkdir", "*/.pending-*", 1, kAround},
          {"link", "*/.pending-*/*", 3, kAround},
          {"fsync", "*/.pending-????????????????", 1, kAround}},
         kOwed},
        {"recovery: emptying the trash",
         {{"unlink", "*/.trash/*", 3, kAround}, {"rmdir", "*/.trash/*", 1, kAround}},
         kTrash},
    };
    return points;
}

const KillPoint& first_start() {
    static const KillPoint point{"first start",
                                 {{"mkdir", "*", 12, kAround},
                                  {"open", "*/lock", 1, kAround},
                                  {"pwrite", "*/lock", 1, kHalf},
                                  {"pwrite", "*/run.json.new", 1, kThrough},
                                  {"rename", "*/run.json", 1, kAround},
                                  {"mkdir", "*/.pending-*", 1, kAround},
                                  {"pwrite", "*/.pending-*/*", 3, kThrough},
                                  {"rename", "*/rolling/step_00000000", 1, kAround},
                                  {"rename", "*/latest", 1, kAround}},
                                 ""};
    return point;
}

const std::vector<KillPoint>& copy_kill_points() {
    static const std::vector<KillPoint> points{
        {kCopyWrite,
         {{"fallocate", "*/backup/.pending-*/*.safetensors", 4, kAround},
          {"pwrite", "*/backup/.pending-*/*.safetensors", 4, kThrough}},
         ""},
        {"copy: sync of a file", {{"fsync", "*/backup/.pending-*/*", 6, kAround}}, ""},
        {"copy: reading the source", {{"pread", "*/rolling/step_*/*.safetensors", 3, kAround}}, ""},
        {"copy: reading back", {{"pread", "*/backup/.pending-*/*.safetensors", 4, kAround}}, ""},
        {"copy: manifest",
         {{"open", "*/backup/.pending-*/checkpoint.json", 2, kAround},
          {"pwrite", "*/backup/.pending-*/checkpoint.json", 2, kThrough},
          {"fsync", "*/backup/.pending-????????????????", 2, kAround}},
         ""},
        {"copy: rename",
         {{"rename", "*/backup/rolling/step_*", 2, kAround},
          {"rename", "*/backup/best/step_*", 2, kAround},
          {"fsync", "*/backup/rolling", 2, kAround},
          {"fsync", "*/backup/best", 2, kAround}},
         ""},
        {kCopyTrash,
         {{"rename", "*/backup/.trash/*", 2, kAround}, {"fsync", "*/backup/.trash", 2, kAround}},
         ""},
        {"old copy: unlinking",
         {{"unlink", "*/backup/.trash/*/*", 4, kAround},
          {"rmdir", "*/backup/.trash/*", 2, kAround}},
         ""},
        {"recovery: clearing a pending copy",
         {{"unlink", "*/backup/.pending-*/*", 1, kAround},
          {"rmdir", "*/backup/.pending-*", 1, kAround}},
         kCopyWrite},
        {"recovery: emptying the trash of copies",
         {{"unlink", "*/backup/.trash/*/*", 1, kAround},
          {"rmdir", "*/backup/.trash/*", 1, kAround}},
         kCopyTrash},
    };
    return points;
}

const KillPoint& first_copies() {
    static const KillPoint point{"first copies",
                                 {{"mkdir", "*/backup", 1, kAround},
                                  {"mkdir", "*/backup/*", 4, kAround},
                                  {"pwrite", "*/backup/backup.json.new", 1, kThrough},
                                  {"rename", "*/backup/backup.json", 1, kAround},
                                  {"open", "*/backup/lock", 1, kAround},
                                  {"pwrite", "*/backup/.pending-*/*", 3, kThrough},
                                  {"rename", "*/backup/rolling/step_*", 1, kAround}},
                                 ""};
    return point;
}

}  // namespace holdfast::faults
