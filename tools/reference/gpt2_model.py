"""GPT-2 in plain PyTorch: the model that holdfast trains, left to autograd.

Pre-LN blocks, learned positions, GELU (tanh form), head tied to the token embedding, biases optional. Linear weights
are (out, in) and parameters are named as in a holdfast checkpoint, so its model.safetensors loads as it is.
"""

import math

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads, self.dropout, self.attention_dropout = shape.n_head, shape.dropout, shape.attention_dropout
        self.c_attn = nn.Linear(shape.n_embd, 3 * shape.n_embd, bias=shape.bias)
        self.c_proj = nn.Linear(shape.n_embd, shape.n_embd, bias=shape.bias)

    def forward(self, x_BTC):
        B, T, C = x_BTC.shape
        query, key, value = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
                             for part in self.c_attn(x_BTC).split(C, dim=2))
        mixed = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.attention_dropout if self.training else 0.0)
        return functional.dropout(self.c_proj(mixed.transpose(1, 2).reshape(B, T, C)), self.dropout, self.training)


class Mlp(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.dropout = shape.dropout
        self.c_fc = nn.Linear(shape.n_embd, 4 * shape.n_embd, bias=shape.bias)
        self.c_proj = nn.Linear(4 * shape.n_embd, shape.n_embd, bias=shape.bias)

    def forward(self, x_BTC):
        hidden = functional.gelu(self.c_fc(x_BTC), approximate="tanh")
        return functional.dropout(self.c_proj(hidden), self.dropout, self.training)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.n_embd, eps=1e-5, bias=shape.bias)
        self.attn = Attention(shape)
        self.ln_2 = nn.LayerNorm(shape.n_embd, eps=1e-5, bias=shape.bias)
        self.mlp = Mlp(shape)

    def forward(self, x_BTC):
        x_BTC = x_BTC + self.attn(self.ln_1(x_BTC))
        return x_BTC + self.mlp(self.ln_2(x_BTC))


class Gpt2(nn.Module):
    """`shape` has n_layer n_head n_embd block_size vocab_size dropout attention_dropout bias (the config's model.*)."""

    def __init__(self, shape):
        super().__init__()
        self.vocab_size, self.dropout = shape.vocab_size, shape.dropout
        padded_vocab_size = (shape.vocab_size + 63) // 64 * 64
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(padded_vocab_size, shape.n_embd),
            "wpe": nn.Embedding(shape.block_size, shape.n_embd),
            "h": nn.ModuleList(Block(shape) for _ in range(shape.n_layer)),
            "ln_f": nn.LayerNorm(shape.n_embd, eps=1e-5, bias=shape.bias),
        })
        self._initialise(shape.n_layer)

    @torch.no_grad()
    def _initialise(self, n_layer):
        """Normal(0, 0.02), residual projections by 1 / sqrt(2 n_layer), biases 0, padding rows 0."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.dim() == 2:
                residual = name.endswith("c_proj.weight")
                parameter.normal_(0.0, 0.02 / math.sqrt(2 * n_layer) if residual else 0.02)
        self.transformer.wte.weight[self.vocab_size:].zero_()

    @torch.no_grad()
    def load(self, tensors):
        """Takes weights by name; wte comes without its padding rows, which stay zero."""
        parameters = dict(self.named_parameters())
        if set(tensors) != set(parameters):
            raise SystemExit(f"the weights do not fit this model: they differ in {sorted(set(tensors) ^ set(parameters))}")
        for name, parameter in parameters.items():
            target = parameter[:self.vocab_size] if name == "transformer.wte.weight" else parameter
            if target.shape != tensors[name].shape:
                raise SystemExit(f"{name} is {tuple(tensors[name].shape)} in the weights, {tuple(target.shape)} here")
            target.copy_(tensors[name])

    def forward(self, tokens_BT, targets_BT):
        """Sum of the cross-entropies in nats; padding of the vocabulary takes no part in the softmax."""
        positions = torch.arange(tokens_BT.shape[1])
        x_BTC = self.transformer.wte(tokens_BT) + self.transformer.wpe(positions)
        x_BTC = functional.dropout(x_BTC, self.dropout, self.training)
        for block in self.transformer.h:
            x_BTC = block(x_BTC)
        logits_BTV = functional.linear(self.transformer.ln_f(x_BTC), self.transformer.wte.weight[:self.vocab_size])
        return functional.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten(), reduction="sum")
