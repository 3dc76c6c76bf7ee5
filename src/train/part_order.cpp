#include "train/part_order.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "train/rank_status.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

using Json = nlohmann::json;

Error not_understood(std::string_view what) {
    return {
        ErrorKind::kCorrupt,
        fmt::format("{} is not of this program's making: are all ranks the same program?", what),
        0};
}

// The member when it is a text, else nothing.
std::string text_of(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string path_for_all_ranks(const std::string& path) {
    std::error_code no_folder;
    return std::filesystem::absolute(path, no_folder).lexically_normal().string();
}

std::string part_order_key(std::int64_t number) {
    return fmt::format("save/{}", number);
}

std::string part_answer_key(std::int64_t number, std::int64_t rank) {
    return fmt::format("save/{}/{}", number, rank);
}

std::string print_part_order(const PartOrder& order) {
    return Json{{"kind", order.kind == PartOrderKind::kScan ? "scan" : "write"},
                {"ticket", order.ticket},
                {"directory", order.directory}}
        .dump();
}

Result<PartOrder> parse_part_order(const std::string& text) {
    const Json json = Json::parse(text, nullptr, false);
    const std::string kind = json.is_object() ? text_of(json, "kind") : "";
    if ((kind != "scan" && kind != "write") || !json.contains("ticket") ||
        !json["ticket"].is_number_integer()) {
        return not_understood("an order to save");
    }
    return PartOrder{kind == "scan" ? PartOrderKind::kScan : PartOrderKind::kWrite,
                     json["ticket"].get<std::int64_t>(),
                     text_of(json, "directory")};
}

std::string print_part_answer(const Result<PartAnswer>& answer) {
    Json json;
    if (!answer.ok()) {
        json["status"] = print_rank_status(answer.error());
        return json.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    if (!answer.value().record.save_id.empty()) {
        const Result<std::string> record = checkpoint::print_part_record(answer.value().record);
        if (!record.ok()) {
            return print_part_answer(record.error());
        }
        json["record"] = record.value();
    }
    json["poison"] = answer.value().poison;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<PartAnswer> parse_part_answer(const std::string& text, std::int64_t rank) {
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) {
        return not_understood(fmt::format("the answer of rank {}", rank));
    }
    if (json.contains("status")) {
        const base::Status status = parse_rank_status(text_of(json, "status"));
        if (!status.ok()) {
            return status.error().within(fmt::format("rank {}", rank));
        }
    }
    PartAnswer answer;
    answer.poison = text_of(json, "poison");
    if (json.contains("record")) {
        Result<checkpoint::PartRecord> record =
            checkpoint::parse_part_record(text_of(json, "record"));
        if (!record.ok()) {
            return record.error().within(fmt::format("the answer of rank {}", rank));
        }
        answer.record = std::move(record).value();
    }
    return answer;
}

}  // namespace holdfast::train
