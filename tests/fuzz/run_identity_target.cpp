// run.json: what parses prints again to the same identity, and what was taken is in range.
#include "checkpoint/run_identity.h"
#include "fuzz/checksummed_text.h"
#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {

using checkpoint::RunIdentity;

namespace {

bool check_text(std::string_view text) {
    const auto identity = checkpoint::parse_run_identity(text);
    if (!identity.ok()) {
        require_one_line(identity.error());
        return false;
    }
    require(checkpoint::is_save_id(identity.value().run_id), "the run id is 16 hex digits");
    require(identity.value().lanes >= 1 && identity.value().created_utc_seconds >= 0,
            "numbers are at least their least value");
    const auto printed = checkpoint::print_run_identity(identity.value());
    require(printed.ok(), "what parses can be printed");
    const auto again = checkpoint::parse_run_identity(printed.value());
    require(again.ok() && again.value() == identity.value(), "what is printed parses to the same");
    return true;
}

}  // namespace

bool check_run_identity(std::string_view input) {
    const bool taken = check_text(input);
    return check_text(with_right_checksum(input)) || taken;
}

std::vector<std::string> run_identity_seeds() {
    const RunIdentity identity{.run_id = "0123456789abcdef",
                               .created_utc_seconds = 1764000000,
                               .config = R"({"model":{"n_layer":12},"data":{"train":["a","b"]}})",
                               .data_fingerprint = "00000000000000ff",
                               .lanes = 8};
    return {checkpoint::print_run_identity(identity).value()};
}

}  // namespace holdfast::fuzz
