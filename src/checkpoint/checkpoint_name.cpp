#include "checkpoint/checkpoint_name.h"

#include <algorithm>
#include <charconv>
#include <random>

#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"
#include "base/clock.h"

namespace holdfast::checkpoint {

namespace {

constexpr std::string_view kStepPrefix = "step_";
constexpr std::string_view kEpochPrefix = "epoch_";
constexpr std::string_view kPendingPrefix = ".pending-";
constexpr std::string_view kCopyingPrefix = ".copying-";
constexpr std::string_view kTemporaryEnding = ".new";
constexpr std::size_t kQuarantineDigits = 6;
constexpr std::string_view kSiblingInfix = "_run_";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::size_t digit_count(std::string_view text) {
    return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) -
                                    text.begin());
}

// Takes the leading digits off `text`; nothing when there are none or they do not fit.
std::optional<std::int64_t> take_number(std::string_view& text) {
    const std::size_t digits = digit_count(text);
    std::int64_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + digits, value);
    if (digits == 0 || code != std::errc{} || end != text.data() + digits) {
        return std::nullopt;
    }
    text.remove_prefix(digits);
    return value;
}

// "YYYYMMDD_HHMMSS", by shape.
bool is_utc_compact(std::string_view text) {
    return text.size() == 15 && digit_count(text) == 8 && text[8] == '_' &&
           digit_count(text.substr(9)) == 6;
}

}  // namespace

std::string_view to_string(Pool pool) {
    switch (pool) {
        case Pool::kRolling:
            return "rolling";
        case Pool::kEmergency:
            return "emergency";
        case Pool::kBest:
            return "best";
        case Pool::kEpoch:
            return "epoch";
        case Pool::kKeep:
            return "keep";
        case Pool::kBackupRolling:
            return "backup/rolling";
        case Pool::kBackupBest:
            return "backup/best";
    }
    return "unknown";
}

std::optional<Pool> parse_pool(std::string_view text) {
    for (const Pool pool : kAllPools) {
        if (to_string(pool) == text) {
            return pool;
        }
    }
    return std::nullopt;
}

bool is_backup(Pool pool) {
    return pool == Pool::kBackupRolling || pool == Pool::kBackupBest;
}

std::string to_string(const CheckpointName& name) {
    std::string text;
    if (name.form == NameForm::kEpoch) {
        text = fmt::format("epoch_{:05}", name.number);
    } else {
        text = fmt::format("step_{:08}", name.number);
    }
    if (name.form == NameForm::kEmergency) {
        text += '_' + name.utc_compact;
    }
    if (name.lineage > 1) {
        text += fmt::format("-r{}", name.lineage);
    }
    if (name.suffix > 1) {
        text += fmt::format(".{}", name.suffix);
    }
    return text;
}

std::optional<CheckpointName> parse_checkpoint_name(std::string_view text) {
    CheckpointName name;
    std::string_view rest = text;
    if (rest.starts_with(kEpochPrefix)) {
        name.form = NameForm::kEpoch;
        rest.remove_prefix(kEpochPrefix.size());
    } else if (rest.starts_with(kStepPrefix)) {
        rest.remove_prefix(kStepPrefix.size());
    } else {
        return std::nullopt;
    }
    const auto number = take_number(rest);
    if (!number) {
        return std::nullopt;
    }
    name.number = *number;
    if (name.form == NameForm::kStep && rest.starts_with('_') &&
        is_utc_compact(rest.substr(1, 15))) {
        name.form = NameForm::kEmergency;
        name.utc_compact = rest.substr(1, 15);
        rest.remove_prefix(16);
    }
    if (rest.starts_with("-r")) {
        rest.remove_prefix(2);
        name.lineage = take_number(rest).value_or(0);
    }
    if (rest.starts_with('.')) {
        rest.remove_prefix(1);
        name.suffix = take_number(rest).value_or(0);
    }
    // Printing it again refuses leading zeros, "-r1", ".1" and whatever else is not the one form.
    if (name.lineage < 1 || name.suffix < 1 || to_string(name) != text) {
        return std::nullopt;
    }
    return name;
}

CheckpointName name_in_pool(Pool pool,
                            std::int64_t step,
                            std::int64_t epoch,
                            std::int64_t lineage,
                            std::int64_t utc_seconds) {
    CheckpointName name;
    name.lineage = lineage;
    name.number = step;
    if (pool == Pool::kEpoch) {
        name.form = NameForm::kEpoch;
        name.number = epoch;
    } else if (pool == Pool::kEmergency) {
        name.form = NameForm::kEmergency;
        name.utc_compact = base::utc_compact(utc_seconds);
    }
    return name;
}

std::string make_save_id() {
    std::random_device device;
    const std::uint64_t high = device();
    return base::to_hex(high << 32U | device());
}

bool is_save_id(std::string_view text) {
    return base::parse_hex64(text).has_value();
}

std::string pending_name(std::string_view save_id) {
    return fmt::format("{}{}", kPendingPrefix, save_id);
}

std::optional<std::string> parse_pending_name(std::string_view text) {
    if (!text.starts_with(kPendingPrefix) || !is_save_id(text.substr(kPendingPrefix.size()))) {
        return std::nullopt;
    }
    return std::string(text.substr(kPendingPrefix.size()));
}

bool is_quarantine_name(std::string_view text) {
    const std::size_t digits = digit_count(text);
    return digits >= kQuarantineDigits && text.size() > digits + 1 && text[digits] == '_';
}

bool is_temporary_name(std::string_view text) {
    if (!text.ends_with(kTemporaryEnding)) {
        return false;
    }
    text.remove_suffix(kTemporaryEnding.size());
    const bool is_log_tail = text.starts_with("metrics.") && text.ends_with(".jsonl");
    return text == kRunFileName || text == kBackupMarkName || text == kLatestName || is_log_tail;
}

std::string copying_name(std::string_view save_id) {
    return fmt::format("{}{}", kCopyingPrefix, save_id);
}

std::string sibling_run_name(std::string_view directory_name, std::int64_t utc_seconds) {
    return fmt::format("{}{}{}", directory_name, kSiblingInfix, base::utc_compact(utc_seconds));
}

bool is_sibling_run_name(std::string_view candidate, std::string_view directory_name) {
    if (!candidate.starts_with(directory_name)) {
        return false;
    }
    const std::string_view rest = candidate.substr(directory_name.size());
    return rest.starts_with(kSiblingInfix) && is_utc_compact(rest.substr(kSiblingInfix.size()));
}

std::string optimizer_file_name(std::int64_t part, std::int64_t part_count) {
    HF_CHECK(part >= 1 && part <= part_count, "part {} of {}", part, part_count);
    return fmt::format("optimizer-{:05}-of-{:05}.safetensors", part, part_count);
}

std::string log_tail_name(std::int64_t lineage, std::string_view save_id, std::int64_t suffix) {
    return suffix > 1 ? fmt::format("metrics.{}-{}.{}.jsonl", lineage, save_id, suffix)
                      : fmt::format("metrics.{}-{}.jsonl", lineage, save_id);
}

}  // namespace holdfast::checkpoint
