"""Writes adamw_reference.json: what torch.optim.AdamW and clip_grad_norm_ make of fixed gradients.

Run:  python3 make_adamw_reference.py > adamw_reference.json      (torch 2.15.0, CPU)

Two tensors, one with weight decay and one without, over 12 steps whose gradients swing over five orders of magnitude,
so that some steps are clipped and some are not. Numbers are written with nine digits, which name an fp32 exactly.
"""

import json
import math

import torch

STEPS = 12
DECAYING, PLAIN = 40, 23
HYPER = {"weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "grad_clip": 1.0}


def numbers(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def main():
    torch.manual_seed(20240607)
    weights = [torch.nn.Parameter(torch.randn(n) * 0.02) for n in (DECAYING, PLAIN)]
    optimizer = torch.optim.AdamW(
        [{"params": [weights[0]], "weight_decay": HYPER["weight_decay"]}, {"params": [weights[1]], "weight_decay": 0.0}],
        lr=1.0, betas=(HYPER["beta1"], HYPER["beta2"]), eps=HYPER["epsilon"], foreach=False, fused=False)
    out = {"torch": torch.__version__.split("+")[0], **HYPER, "decaying": DECAYING, "plain": PLAIN,
           "initial": numbers(torch.cat([w.data for w in weights])), "steps": []}
    for step in range(STEPS):
        learning_rate = 1e-3 * (1.0 + math.sin(step))
        scale = 10.0 ** ((step % 6) - 3)
        for w in weights:
            w.grad = torch.randn_like(w) * scale
        gradient = numbers(torch.cat([w.grad for w in weights]))
        norm = torch.nn.utils.clip_grad_norm_(weights, HYPER["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        out["steps"].append({
            "learning_rate": learning_rate, "gradient": gradient, "norm": norm.item(),
            "weights": numbers(torch.cat([w.data for w in weights])),
            "m": numbers(torch.cat([optimizer.state[w]["exp_avg"] for w in weights])),
            "v": numbers(torch.cat([optimizer.state[w]["exp_avg_sq"] for w in weights]))})
    print(json.dumps(out))


if __name__ == "__main__":
    main()
