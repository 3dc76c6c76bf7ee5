#!/usr/bin/env python3
"""Makes reference/transformers_gpt2.json: logits and training losses of Hugging Face's GPT-2 for a tiny model whose
weights, tokens and settings both sides compute from formulas (transformers_test.cpp has the same ones).

Run with torch and transformers installed; the test itself needs neither. Versions are written into the file.
"""
import json
import math
import pathlib

import torch
import transformers

LAYERS, HEADS, CHANNELS, CONTEXT, VOCAB = 2, 4, 64, 32, 257
BATCH, STEPS = 4, 100
LEARNING_RATE, WEIGHT_DECAY, BETAS, EPSILON, CLIP = 3e-4, 0.1, (0.9, 0.95), 1e-8, 1.0


def value(count, phase, scale):
    """scale times a fixed noise in [-0.5, 0.5): an integer hash of element and tensor."""
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + (phase + 1) * 40503) % 2**32
    for _ in range(2):
        h = ((h ^ (h >> 16)) * 0x45D9F3B) % 2**32
    h = h ^ (h >> 16)
    return scale * (h.double() / 2**32 - 0.5)


def token(step, sequence, time):
    return (7919 * step + 104729 * sequence + 31 * time * time + 17 * time) % VOCAB


def make_model():
    config = transformers.GPT2Config(
        vocab_size=VOCAB, n_positions=CONTEXT, n_embd=CHANNELS, n_layer=LAYERS, n_head=HEADS,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, layer_norm_epsilon=1e-5,
        activation_function="gelu_new", attn_implementation="eager")
    model = transformers.GPT2LMHeadModel(config).float()
    transposed = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    names = sorted(n for n, _ in model.named_parameters())
    with torch.no_grad():
        for phase, name in enumerate(names):
            parameter = dict(model.named_parameters())[name]
            if ".ln_" in name and name.endswith("weight"):
                flat = 1.0 + value(parameter.numel(), phase, 0.2)
            else:
                flat = value(parameter.numel(), phase, 0.07)
            if name.endswith(transposed):
                # Ours is [out, in], Conv1D is [in, out].
                parameter.copy_(flat.reshape(parameter.shape[1], parameter.shape[0]).T.float())
            else:
                parameter.copy_(flat.reshape(parameter.shape).float())
    return model, names


def batch(step):
    ids = torch.tensor([[token(step, s, t) for t in range(CONTEXT + 1)] for s in range(BATCH)])
    return ids[:, :-1], ids[:, 1:]


def main():
    torch.manual_seed(0)
    model, names = make_model()
    tokens, _ = batch(0)
    with torch.no_grad():
        logits = model(tokens).logits[0]
    decayed = [p for n, p in model.named_parameters() if p.dim() >= 2]
    plain = [p for n, p in model.named_parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
        lr=LEARNING_RATE, betas=BETAS, eps=EPSILON)
    losses, norms = [], []
    for step in range(STEPS):
        x, y = batch(step % 10)
        out = model(x).logits
        loss = torch.nn.functional.cross_entropy(out.view(-1, VOCAB), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)))
        optimizer.step()
        losses.append(loss.item())
    assert math.isfinite(losses[-1])
    report = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "parameters": names,
        "logits_rows": {str(t): [float(f"{v:.9g}") for v in logits[t].tolist()] for t in (0, 7, 31)},
        "losses": losses,
        "grad_norms": norms,
    }
    path = pathlib.Path(__file__).parent / "reference" / "transformers_gpt2.json"
    path.write_text(json.dumps(report, indent=0) + "\n")


if __name__ == "__main__":
    main()
