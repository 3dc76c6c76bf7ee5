// run.json: which run a directory belongs to. Holds nothing that no manifest could rebuild.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/manifest.h"

namespace holdfast::checkpoint {

struct RunIdentity {
    std::string run_id;  // 16 hex digits, made at creation
    std::int64_t created_utc_seconds = 0;
    std::string config = "{}";  // resolved at creation and with changes allowed since; JSON text
    std::string data_fingerprint;
    std::int64_t lanes = 1;
    bool operator==(const RunIdentity&) const = default;
};

// What differs between a stored run and the one asked for, in words ("model.n_layer 12, asked for
// 8"); empty: the same run. The floors above know which keys may change.
using IdentityDifferences = std::function<std::vector<std::string>(const RunIdentity& stored)>;

// The same checksum line as a manifest.
base::Result<std::string> print_run_identity(const RunIdentity& identity);
base::Result<RunIdentity> parse_run_identity(std::string_view text);
// What a manifest knows of its run.
RunIdentity run_identity_of(const Manifest& manifest);

}  // namespace holdfast::checkpoint
