#include "model/gpt_tensors.h"

#include <fmt/format.h>

namespace holdfast::model {

GptTensors GptTensors::of(const at::Tensor& arena,
                          const ArenaLayout& layout,
                          const GptConfig& config) {
    const auto view = [&](const std::string& name) {
        return ArenaLayout::view(arena, layout.find(name));
    };
    const auto bias = [&](const std::string& name) {
        return config.bias ? view(name) : at::Tensor();
    };
    GptTensors tensors;
    for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
        const std::string block = fmt::format("transformer.h.{}.", layer);
        tensors.blocks.push_back({view(block + "ln_1.weight"),
                                  bias(block + "ln_1.bias"),
                                  view(block + "attn.c_attn.weight"),
                                  bias(block + "attn.c_attn.bias"),
                                  view(block + "attn.c_proj.weight"),
                                  bias(block + "attn.c_proj.bias"),
                                  view(block + "ln_2.weight"),
                                  bias(block + "ln_2.bias"),
                                  view(block + "mlp.c_fc.weight"),
                                  bias(block + "mlp.c_fc.bias"),
                                  view(block + "mlp.c_proj.weight"),
                                  bias(block + "mlp.c_proj.bias")});
    }
    tensors.ln_f_weight = view("transformer.ln_f.weight");
    tensors.ln_f_bias = bias("transformer.ln_f.bias");
    tensors.wte = view("transformer.wte.weight");
    tensors.wpe = view("transformer.wpe.weight");
    return tensors;
}

}  // namespace holdfast::model
