#include "model/arena.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace holdfast::model {

namespace {

constexpr std::int64_t kTensorAlignElements =
    16;  // 64 bytes of fp32: BLAS results may depend on alignment

std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

std::int64_t product(const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) {
        count *= size;
    }
    return count;
}

}  // namespace

std::int64_t ArenaTensor::element_count() const {
    return product(shape);
}

std::int64_t ArenaTensor::stored_element_count() const {
    return product(stored_shape);
}

void ArenaLayout::begin_bucket() {
    buckets_.push_back({element_count_, element_count_, -1});
}

void ArenaLayout::add(std::string name,
                      std::vector<std::int64_t> shape,
                      bool decays,
                      std::int64_t stored_rows) {
    ArenaTensor tensor;
    tensor.name = std::move(name);
    tensor.stored_shape = shape;
    if (stored_rows > 0) {
        tensor.stored_shape.front() = stored_rows;
    }
    tensor.shape = std::move(shape);
    tensor.begin = element_count_;
    tensor.decays = decays;
    element_count_ += rounded_up(tensor.stored_element_count(), kTensorAlignElements);
    tensors_.push_back(std::move(tensor));
}

void ArenaLayout::end_bucket(std::int64_t lanes, std::int64_t layer) {
    ArenaBucket& bucket = buckets_.back();
    const std::int64_t used = element_count_ - bucket.begin;
    element_count_ = bucket.begin + rounded_up(used, lanes * kPieceElements);
    bucket.end = element_count_;
    bucket.layer = layer;
}

ArenaLayout::ArenaLayout(const GptConfig& config, std::int64_t lanes) {
    HF_CHECK(lanes >= 1, "{} lanes", lanes);
    const std::int64_t c = config.n_embd;
    const auto add_vector = [&](const std::string& name, std::int64_t size) {
        add(name, {size}, false);
    };
    const auto add_norm = [&](const std::string& name) {
        add_vector(name + ".weight", c);
        if (config.bias) {
            add_vector(name + ".bias", c);
        }
    };
    const auto add_linear = [&](const std::string& name, std::int64_t out, std::int64_t in) {
        add(name + ".weight", {out, in}, true);
        if (config.bias) {
            add_vector(name + ".bias", out);
        }
    };
    begin_bucket();
    add_norm("transformer.ln_f");
    end_bucket(lanes, -1);
    for (std::int64_t layer = config.n_layer - 1; layer >= 0; --layer) {
        const std::string block = fmt::format("transformer.h.{}.", layer);
        begin_bucket();
        add_norm(block + "ln_1");
        add_linear(block + "attn.c_attn", 3 * c, c);
        add_linear(block + "attn.c_proj", c, c);
        add_norm(block + "ln_2");
        add_linear(block + "mlp.c_fc", 4 * c, c);
        add_linear(block + "mlp.c_proj", c, 4 * c);
        end_bucket(lanes, layer);
    }
    begin_bucket();
    add("transformer.wte.weight", {config.vocab_size, c}, true, config.padded_vocab_size());
    add("transformer.wpe.weight", {config.block_size, c}, true);
    end_bucket(lanes, -1);
}

const ArenaTensor& ArenaLayout::find(std::string_view name) const {
    const auto found = std::find_if(tensors_.begin(),
                                    tensors_.end(),
                                    [&](const ArenaTensor& tensor) { return tensor.name == name; });
    HF_CHECK(found != tensors_.end(), "no tensor {}", name);
    return *found;
}

std::vector<std::pair<std::int64_t, std::int64_t>> ArenaLayout::decaying_ranges() const {
    std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
    for (const ArenaTensor& tensor : tensors_) {
        if (!tensor.decays) {
            continue;
        }
        const std::int64_t end = tensor.begin + tensor.stored_element_count();
        if (!ranges.empty() && ranges.back().second == tensor.begin) {
            ranges.back().second = end;
        } else {
            ranges.emplace_back(tensor.begin, end);
        }
    }
    return ranges;
}

at::Tensor ArenaLayout::view(const at::Tensor& arena, const ArenaTensor& tensor) {
    return arena.narrow(0, tensor.begin, tensor.stored_element_count()).view(tensor.stored_shape);
}

}  // namespace holdfast::model
