#include "telemetry/step_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/checksum.h"
#include "base/words.h"

namespace holdfast::telemetry {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kValLossKey = "val_loss";

// The shortest digits that read back to the same bits. fmt leaves out the point of a whole number,
// and "-0" would read back as the integer 0, without its sign.
std::string real_text(double value) {
    std::string text = fmt::format("{}", value);
    if (text.find_first_of(".e") == std::string::npos) {
        text += ".0";
    }
    return text;
}

std::string json_text(std::string_view text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

class LineWriter {
public:
    void add(std::string_view key, const std::string& json) {
        line_ += line_.empty() ? '{' : ',';
        line_ += json_text(key) + ':' + json;
    }
    void add_whole(std::string_view key, std::int64_t value) { add(key, fmt::format("{}", value)); }
    void add_real(std::string_view key, double value) {
        if (std::isfinite(value)) {
            add(key, real_text(value));
            return;
        }
        add(key, "null");
        nonfinite_ += nonfinite_.empty() ? '{' : ',';
        const char* name = value > 0 ? "inf" : "-inf";
        nonfinite_ += fmt::format("{}:\"{}\"", json_text(key), std::isnan(value) ? "nan" : name);
    }
    void add_real(std::string_view key, const std::optional<double>& value) {
        if (value) {
            add_real(key, *value);
        }
    }
    std::string finish() {
        if (!nonfinite_.empty()) {
            add("nonfinite", nonfinite_ + '}');
        }
        return line_ + '}';
    }

private:
    std::string line_;
    std::string nonfinite_;
};

void write_exact(LineWriter& line, const StepMetrics& metrics, bool with_val_loss) {
    line.add_whole("step", metrics.step);
    line.add("phase", json_text(metrics.phase));
    line.add_whole("epoch", metrics.epoch);
    line.add_real("loss", metrics.loss);
    if (with_val_loss) {
        for (const ValLoss& val_loss : metrics.val_losses) {
            line.add_real(val_loss.key(), val_loss.loss);
        }
    }
    line.add_real("lr", metrics.learning_rate);
    line.add_real("grad_norm", metrics.grad_norm);
    line.add_whole("tokens", metrics.tokens);
    line.add("batch_hash", '"' + base::to_hex(metrics.batch_hash) + '"');
}

// Nothing where there are none.
void add_reals(LineWriter& line, std::string_view key, const std::vector<double>& values) {
    if (values.empty()) {
        return;
    }
    std::vector<std::string> numbers;
    numbers.reserve(values.size());
    for (const double number : values) {
        numbers.push_back(std::isfinite(number) ? real_text(number) : "0.0");
    }
    line.add(key, fmt::format("[{}]", fmt::join(numbers, ",")));
}

void write_free(LineWriter& line, const StepMetrics& metrics) {
    line.add_real("tokens_per_second", metrics.tokens_per_second);
    line.add_real("step_ms", metrics.step_ms);
    line.add_real("data_wait_ms", metrics.data_wait_ms);
    line.add_real("save_stall_ms", metrics.save_stall_ms);
    add_reals(line, "rank_compute_ms", metrics.rank_compute_ms);
    add_reals(line, "rank_wait_ms", metrics.rank_wait_ms);
    line.add_real("communication_ms", metrics.communication_ms);
    line.add_real("mfu", metrics.mfu);
    if (metrics.memory_bytes) {
        line.add("memory_bytes", fmt::format("{}", *metrics.memory_bytes));
    }
    if (metrics.page_faults) {
        line.add_whole("page_faults", *metrics.page_faults);
    }
    if (metrics.resumed_from) {
        line.add_whole("resumed_from", *metrics.resumed_from);
    }
    if (!metrics.events.empty()) {
        line.add("event",
                 Json(metrics.events).dump(-1, ' ', false, Json::error_handler_t::replace));
    }
}

// Reads fields one by one and remembers the first that is not what it must be.
class LineReader {
public:
    explicit LineReader(const Json& object) : object_(object) {}

    void read(const char* key, std::int64_t& value, bool required = false) {
        if (const Json* field = find(key, required)) {
            // All that are written here are counts.
            if (!field->is_number_unsigned() || field->get<std::uint64_t>() > INT64_MAX) {
                fail(key, "a whole number", *field);
                return;
            }
            value = field->get<std::int64_t>();
        }
    }
    void read(const char* key, std::optional<std::int64_t>& value) {
        if (find(key, false) != nullptr) {
            read(key, value.emplace());
        }
    }
    void read(const char* key, std::optional<std::uint64_t>& value) {
        if (const Json* field = find(key, false)) {
            if (!field->is_number_unsigned()) {
                fail(key, "a whole number", *field);
                return;
            }
            value = field->get<std::uint64_t>();
        }
    }
    void read(const std::string& key, double& value, bool required = false) {
        const Json* field = find(key, required);
        if (field == nullptr) {
            return;
        }
        if (field->is_number()) {
            value = field->get<double>();
        } else if (field->is_null()) {
            value = nonfinite(key);
        } else {
            fail(key, "a number or null", *field);
        }
    }
    void read(const char* key, std::optional<double>& value) {
        if (find(key, false) != nullptr) {
            read(key, value.emplace());
        }
    }
    void read(const char* key, std::string& value) {
        if (const Json* field = find(key, false)) {
            if (!field->is_string()) {
                fail(key, "a text", *field);
                return;
            }
            value = field->get<std::string>();
        }
    }
    void read(const char* key, std::vector<double>& value) {
        const Json* field = find(key, false);
        if (field == nullptr) {
            return;
        }
        if (!field->is_array() || !std::all_of(field->begin(), field->end(), [](const Json& item) {
                return item.is_number();
            })) {
            fail(key, "a list of numbers", *field);
            return;
        }
        value = field->get<std::vector<double>>();
    }
    void read(const char* key, std::vector<std::string>& value) {
        const Json* field = find(key, false);
        if (field == nullptr) {
            return;
        }
        if (!field->is_array()) {
            fail(key, "a list of texts", *field);
            return;
        }
        for (const Json& item : *field) {
            if (!item.is_string()) {
                fail(key, "a list of texts", *field);
                return;
            }
            value.push_back(item.get<std::string>());
        }
    }
    void read_hash(const char* key, std::uint64_t& value) {
        const Json* field = find(key, false);
        if (field == nullptr) {
            return;
        }
        const auto hash = field->is_string()
                              ? base::parse_hex64(field->get_ref<const std::string&>())
                              : std::nullopt;
        if (!hash) {
            fail(key, "16 hex digits", *field);
            return;
        }
        value = *hash;
    }

    [[nodiscard]] const std::string& problem() const { return problem_; }

private:
    const Json* find(const std::string& key, bool required) {
        const auto found = object_.find(key);
        if (found != object_.end()) {
            return &*found;
        }
        if (required && problem_.empty()) {
            problem_ = fmt::format("field '{}' is missing", key);
        }
        return nullptr;
    }
    [[nodiscard]] double nonfinite(const std::string& key) const {
        const auto table = object_.find("nonfinite");
        if (table != object_.end() && table->is_object()) {
            const auto name = table->find(key);
            if (name != table->end() && *name == "inf") {
                return std::numeric_limits<double>::infinity();
            }
            if (name != table->end() && *name == "-inf") {
                return -std::numeric_limits<double>::infinity();
            }
        }
        return std::numeric_limits<double>::quiet_NaN();
    }
    void fail(const std::string& key, const char* expected, const Json& found) {
        if (problem_.empty()) {
            // The text of lists in lists is neither for a message nor, by recursion, for the stack.
            problem_ = fmt::format(
                "field '{}': expected {}, found {}",
                base::printable(key),
                expected,
                found.is_structured() ? found.type_name() : base::printable(found.dump()));
        }
    }

    const Json& object_;
    std::string problem_;
};

void read_val_losses(LineReader& reader, const Json& object, StepMetrics& metrics) {
    const std::string prefix = std::string(kValLossKey) + '.';
    for (const auto& [key, field] : object.items()) {
        ValLoss val_loss;
        if (key.starts_with(prefix) && key.size() > prefix.size()) {
            val_loss.set = key.substr(prefix.size());
        } else if (key != kValLossKey) {
            continue;
        }
        reader.read(key, val_loss.loss);
        metrics.val_losses.push_back(std::move(val_loss));
    }
}

}  // namespace

std::string ValLoss::key() const {
    return set.empty() ? std::string(kValLossKey) : fmt::format("{}.{}", kValLossKey, set);
}

std::optional<double> StepMetrics::val_loss() const {
    for (const ValLoss& candidate : val_losses) {
        if (candidate.set.empty()) {
            return candidate.loss;
        }
    }
    return std::nullopt;
}

std::string to_json_line(const StepMetrics& metrics) {
    LineWriter line;
    write_exact(line, metrics, true);
    write_free(line, metrics);
    return line.finish();
}

std::string to_exact_json_line(const StepMetrics& metrics) {
    LineWriter line;
    write_exact(line, metrics, true);
    return line.finish();
}

std::string to_manifest_json(const StepMetrics& metrics) {
    LineWriter line;
    write_exact(line, metrics, false);
    return line.finish();
}

base::Result<StepMetrics> parse_step_metrics(std::string_view line) {
    const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
        return base::Error{base::ErrorKind::kCorrupt, "a metrics line is not a JSON object"};
    }
    StepMetrics metrics;
    LineReader reader(object);
    reader.read("step", metrics.step, true);
    reader.read("phase", metrics.phase);
    reader.read("epoch", metrics.epoch);
    reader.read("loss", metrics.loss, true);
    read_val_losses(reader, object, metrics);
    reader.read("lr", metrics.learning_rate);
    reader.read("grad_norm", metrics.grad_norm);
    reader.read("tokens", metrics.tokens);
    reader.read_hash("batch_hash", metrics.batch_hash);
    reader.read("tokens_per_second", metrics.tokens_per_second);
    reader.read("step_ms", metrics.step_ms);
    reader.read("data_wait_ms", metrics.data_wait_ms);
    reader.read("save_stall_ms", metrics.save_stall_ms);
    reader.read("rank_compute_ms", metrics.rank_compute_ms);
    reader.read("rank_wait_ms", metrics.rank_wait_ms);
    reader.read("communication_ms", metrics.communication_ms);
    reader.read("mfu", metrics.mfu);
    reader.read("memory_bytes", metrics.memory_bytes);
    reader.read("page_faults", metrics.page_faults);
    reader.read("resumed_from", metrics.resumed_from);
    reader.read("event", metrics.events);
    if (!reader.problem().empty()) {
        return base::Error{base::ErrorKind::kCorrupt, "a metrics line: " + reader.problem()};
    }
    return metrics;
}

}  // namespace holdfast::telemetry
