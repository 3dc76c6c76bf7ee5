#include "data/prepare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/words.h"
#include "data/held_out_split.h"
#include "data/preparing_folder.h"
#include "data/shard_builder.h"
#include "data/text_source.h"
#include "fs/durable_write.h"
#include "tokenizer/tokenizer.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

Error invalid(std::string what) {
    return Error{ErrorKind::kInvalid, std::move(what), 0};
}

Status check_options(const PrepareOptions& options) {
    if (options.inputs.empty()) {
        return invalid("no input was given: name text files, folders or .jsonl files");
    }
    const std::string name = fs::name_of(options.out_dir);
    if (name.empty() || name == "." || name == "..") {
        return invalid(fmt::format("\"{}\" is no name for the prepared folder", options.out_dir));
    }
    const double fraction = options.val_fraction;
    if (fraction != 0.0 && !(fraction >= kValFractionMin && fraction <= 0.5)) {
        return invalid(fmt::format(
            "val_fraction is {}; it must be 0 or from {} to 0.5", fraction, kValFractionMin));
    }
    if (options.shard_tokens_max < 1 || options.shard_tokens_max > kShardTokensLimit) {
        return invalid(fmt::format("shard_tokens_max is {}; it must be from 1 to {}",
                                   options.shard_tokens_max,
                                   kShardTokensLimit));
    }
    return {};
}

// Reads no more documents than it takes to know.
Result<SplitRule> choose_rule(fs::FileSystem& file_system, const PrepareOptions& options) {
    if (options.val_fraction == 0.0) {
        return SplitRule::kAllTrain;
    }
    Result<TextSource> source = TextSource::open(file_system, options.inputs);
    if (!source.ok()) {
        return source.error();
    }
    const std::uint64_t enough = documents_for_draw(options.val_fraction);
    for (std::uint64_t documents = 0; documents < enough; ++documents) {
        const auto document = source.value().next();
        if (!document.ok()) {
            return document.error();
        }
        if (!document.value().has_value()) {
            return SplitRule::kTails;
        }
    }
    return SplitRule::kDocuments;
}

// Of the input alone, when it must be known before anything is written.
struct InputIdentity {
    base::Hash128 hash;
    std::uint64_t documents = 0;
};

Result<InputIdentity> identify_input(fs::FileSystem& file_system, const PrepareOptions& options) {
    constexpr std::size_t kReadBytes = std::size_t{1} << 20U;
    Result<TextSource> source = TextSource::open(file_system, options.inputs);
    if (!source.ok()) {
        return source.error();
    }
    InputHash hash;
    std::string text;
    while (true) {
        const auto document = source.value().next();
        if (!document.ok()) {
            return document.error();
        }
        if (!document.value().has_value()) {
            return InputIdentity{hash.digest(), hash.documents()};
        }
        hash.begin_document(document.value()->bytes);
        do {
            text.clear();
            const Result<std::size_t> read = source.value().read(kReadBytes, text);
            if (!read.ok()) {
                return read.error();
            }
            hash.update(text);
        } while (!text.empty());
        if (options.on_progress) {
            options.on_progress(
                {source.value().input_bytes_done(), source.value().input_bytes_total(), 0});
        }
    }
}

// Why the dataset in the folder is not the one asked for, as far as its options tell.
std::optional<std::string> differing_option(const DatasetSidecar& found,
                                            const PrepareOptions& options,
                                            const tokenizer::Tokenizer& tokenizer) {
    if (found.tokenizer != tokenizer.name()) {
        return fmt::format("with the tokenizer {}, not {}", found.tokenizer, tokenizer.name());
    }
    if (found.tokenizer_fingerprint != tokenizer.fingerprint()) {
        return fmt::format("with another version of the tokenizer {}", found.tokenizer);
    }
    if (found.val_fraction != options.val_fraction) {
        return fmt::format(
            "with val_fraction {}, not {}", found.val_fraction, options.val_fraction);
    }
    if (found.shard_tokens_max != options.shard_tokens_max) {
        return fmt::format(
            "with shard_tokens_max {}, not {}", found.shard_tokens_max, options.shard_tokens_max);
    }
    return std::nullopt;
}

Status check_shards_present(fs::FileSystem& file_system,
                            const std::string& folder,
                            const DatasetSidecar& sidecar) {
    for (const DatasetSplit* split : {&sidecar.train, &sidecar.val}) {
        for (const ShardSummary& shard : split->shards) {
            const std::string path = fs::join(folder, shard.name);
            const auto status = file_system.status(path);
            if (!status.ok() || status.value().bytes != shard.bytes) {
                return Error{ErrorKind::kCorrupt,
                             fmt::format("{} is missing or not of the {} bytes that {} says; "
                                         "prepare again with --overwrite",
                                         path,
                                         shard.bytes,
                                         kSidecarName),
                             0};
            }
        }
    }
    return {};
}

// What `folder` already holds: the dataset asked for, or nothing (it may be written). Anything else
// that may not be overwritten is the error.
Result<std::optional<DatasetSidecar>> look_at_folder(fs::FileSystem& file_system,
                                                     const std::string& folder,
                                                     const PrepareOptions& options,
                                                     const tokenizer::Tokenizer& tokenizer) {
    const Result<bool> has_files = holds_dataset_files(file_system, folder);
    if (!has_files.ok()) {
        return has_files.error();
    }
    if (!has_files.value()) {
        return std::optional<DatasetSidecar>();
    }
    const auto refuse = [&](std::string_view why) {
        return Error{
            ErrorKind::kExists,
            fmt::format("{} {}; give another folder, or --overwrite to replace it", folder, why),
            0};
    };
    Result<DatasetSidecar> found = read_sidecar(file_system, folder);
    if (!found.ok()) {
        if (options.overwrite) {
            return std::optional<DatasetSidecar>();
        }
        return found.error().kind == ErrorKind::kNotFound
                   ? refuse(fmt::format("holds token shards without a {}", kSidecarName))
                   : found.error();
    }
    std::optional<std::string> differs = differing_option(found.value(), options, tokenizer);
    if (!differs.has_value()) {
        const Result<InputIdentity> input = identify_input(file_system, options);
        if (!input.ok()) {
            return input.error();
        }
        if (input.value().hash != found.value().input_hash ||
            input.value().documents != found.value().input_documents) {
            differs = "from other input";
        }
    }
    if (differs.has_value()) {
        if (options.overwrite) {
            return std::optional<DatasetSidecar>();
        }
        return refuse("was prepared " + *differs);
    }
    const Status present = check_shards_present(file_system, folder, found.value());
    if (!present.ok()) {
        return options.overwrite ? Result<std::optional<DatasetSidecar>>(std::nullopt)
                                 : present.error();
    }
    return std::optional(std::move(found).value());
}

Status check_has_text(const DatasetSidecar& sidecar) {
    if (sidecar.input_documents == 0) {
        return invalid("there is no text in the input");
    }
    if (sidecar.val_fraction > 0.0 && sidecar.val.documents == 0) {
        return invalid(
            fmt::format("{} bytes in {} documents are too little to hold out {} of it; give more "
                        "text, or --val-fraction 0 for no validation set",
                        sidecar.train.text_bytes,
                        sidecar.input_documents,
                        sidecar.val_fraction));
    }
    return {};
}

std::string without_slashes_at_end(std::string path) {
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    return path;
}

Result<DatasetSidecar> write_dataset(fs::FileSystem& file_system,
                                     const std::string& folder,
                                     const PrepareOptions& options,
                                     const tokenizer::Tokenizer& tokenizer,
                                     SplitRule rule) {
    Result<TextSource> source = TextSource::open(file_system, options.inputs);
    if (!source.ok()) {
        return source.error();
    }
    ShardBuilder builder(file_system, folder, tokenizer, options, rule);
    Result<DatasetSidecar> sidecar = builder.build(source.value());
    if (!sidecar.ok()) {
        return sidecar;
    }
    const Status enough = check_has_text(sidecar.value());
    if (!enough.ok()) {
        return enough.error();
    }
    const Status written = fs::replace_file(
        file_system, fs::join(folder, std::string(kSidecarName)), to_json(sidecar.value()));
    if (!written.ok()) {
        return written.error();
    }
    return sidecar;
}

}  // namespace

Result<PrepareSummary> prepare(fs::FileSystem& file_system, PrepareOptions options) {
    options.out_dir = without_slashes_at_end(options.out_dir);
    if (options.threads == 0) {
        options.threads = std::max(1U, std::thread::hardware_concurrency());
    }
    const Status checked = check_options(options);
    if (!checked.ok()) {
        return checked.error();
    }
    const auto tokenizer = tokenizer::make_tokenizer(options.tokenizer);
    if (!tokenizer.ok()) {
        return tokenizer.error();
    }
    const Result<SplitRule> rule = choose_rule(file_system, options);
    if (!rule.ok()) {
        return rule.error();
    }
    // Claimed first: what a killed call moved aside is back in its place before anybody looks.
    Result<PreparingFolder> folder = PreparingFolder::claim(file_system, options.out_dir);
    if (!folder.ok()) {
        return folder.error();
    }
    auto found = look_at_folder(file_system, options.out_dir, options, *tokenizer.value());
    if (!found.ok()) {
        return found.error();
    }
    if (found.value().has_value()) {
        return PrepareSummary{std::move(*found.value()), true};
    }
    Result<DatasetSidecar> sidecar = write_dataset(
        file_system, folder.value().path(), options, *tokenizer.value(), rule.value());
    if (!sidecar.ok()) {
        return sidecar.error();
    }
    const Status published = folder.value().publish();
    if (!published.ok()) {
        return published.error();
    }
    return PrepareSummary{std::move(sidecar).value(), false};
}

}  // namespace holdfast::data
