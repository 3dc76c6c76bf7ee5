"""Trains what a holdfast config describes in plain PyTorch: same batches, same settings, same start.

    python3 train_gpt2.py --config configs/shakespeare-cpu.json --weights CHECKPOINT/model.safetensors --out curve.jsonl

writes one JSON line a step with loss, learning rate and gradient norm, and val_loss at every evaluation, in the spelling
of holdfast's metrics.jsonl. See README.md beside this file. Needs torch and numpy.
"""

import argparse
import json
import math
import time
from types import SimpleNamespace

import torch

import run_inputs
from gpt2_model import Gpt2

try:
    import xxhash
except ImportError:
    xxhash = None


def learning_rate_at(config, step):
    """The schedule of holdfast (src/optim/schedule.h)."""
    peak, minimum = config["optimizer.learning_rate"], config["schedule.min_learning_rate"]
    warmup, kind = config["schedule.warmup_steps"], config["schedule.kind"]
    horizon = config["schedule.steps"] or config["train.max_steps"]
    if step <= warmup:
        return peak * step / warmup
    if kind == "constant":
        return peak
    if step >= horizon:
        return minimum
    stable_until = max(warmup, horizon - max(1, horizon // 5))
    left = (horizon - step) / (horizon - (stable_until if kind == "wsd" else warmup))
    if kind == "cosine":
        left = (1.0 + math.cos(math.pi * (1.0 - left))) / 2.0
    elif kind == "wsd" and step <= stable_until:
        left = 1.0
    return minimum + (peak - minimum) * left


def make_optimizer(model, config):
    """AdamW; matrices and embeddings decay, biases and norms do not."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": config["optimizer.weight_decay"]},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(config["optimizer.beta1"], config["optimizer.beta2"]),
                             eps=config["optimizer.epsilon"], fused=True)


def batch_hash(rows):
    """holdfast's batch_hash of these windows, or None without the xxhash module."""
    if xxhash is None:
        return None
    hashes = b"".join(xxhash.xxh3_64_intdigest(row.astype("<i4").tobytes()).to_bytes(8, "little") for row in rows)
    return xxhash.xxh3_64_hexdigest(hashes)


class Reference:
    """The run: model, optimizer, data. `precision` is fp32, or bf16 by autocast over fp32 weights."""

    def __init__(self, config, train, val, weights, micro_batch, precision):
        self.config, self.train, self.val = config, train, val
        self.micro_batch, self.precision = micro_batch, precision
        shape = SimpleNamespace(**{key.removeprefix("model."): value for key, value in config.items()
                                   if key.startswith("model.")})
        self.model = Gpt2(shape)
        if weights is not None:
            self.model.load({name: torch.from_numpy(array) for name, array in weights.items()})
        self.optimizer = make_optimizer(self.model, config)

    def _loss_sum(self, rows):
        rows = torch.from_numpy(rows)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            return self.model(rows[:, :-1], rows[:, 1:])

    def step(self, rows, learning_rate):
        """One update on the global batch `rows`; (mean loss, gradient norm before clipping)."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        targets = rows.shape[0] * (rows.shape[1] - 1)
        total = 0.0
        for first in range(0, len(rows), self.micro_batch):
            loss = self._loss_sum(rows[first:first + self.micro_batch])
            (loss / targets).backward()
            total += loss.item()
        clip = self.config["optimizer.grad_clip"]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip if clip > 0 else math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        return total / targets, norm.item()

    @torch.no_grad()
    def evaluate(self):
        """Mean nats a token over the validation windows in order, the first eval_tokens of them."""
        self.model.eval()
        T = self.val.window_tokens
        count = self.val.count
        if self.config["train.eval_tokens"]:
            count = min(count, math.ceil(self.config["train.eval_tokens"] / T))
        total = 0.0
        for first in range(0, count, self.micro_batch):
            total += self._loss_sum(self.val.read(range(first, min(count, first + self.micro_batch)))).item()
        return total / (count * T)


def run(reference, batches, out):
    config = reference.config
    steps, interval = config["train.max_steps"], config["train.eval_interval"]
    started = time.monotonic()
    for step in range(1, steps + 1):
        rows = reference.train.read(next(batches))
        learning_rate = learning_rate_at(config, step)
        loss, norm = reference.step(rows, learning_rate)
        record = {"step": step, "loss": loss, "lr": learning_rate, "grad_norm": norm}
        digest = batch_hash(rows)
        if digest is not None:
            record["batch_hash"] = digest
        if step == steps or (interval and step % interval == 0):
            record["val_loss"] = reference.evaluate()
        out.write(json.dumps(record) + "\n")
        out.flush()
        if "val_loss" in record or step % 50 == 0:
            val = f" | val {record['val_loss']:.4f}" if "val_loss" in record else ""
            print(f"step {step}/{steps} | loss {loss:.4f}{val} | {(time.monotonic() - started) / step:.3f} s a step",
                  flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="a holdfast config file")
    parser.add_argument("--weights", help="model.safetensors of the run's step 0; without it: fresh weights of torch's")
    parser.add_argument("--order", help="recorded windows, a JSON line a step; without it: the order of the seed")
    parser.add_argument("--train", nargs="+", help="shards, folders or globs; default: data.train")
    parser.add_argument("--val", nargs="+", help="the same; default: data.val")
    parser.add_argument("--out", default="curve.jsonl")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="default: the config's")
    parser.add_argument("--micro-batch", type=int, default=0, help="sequences at a time; default: the config's, else 8")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value for an option")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    config = run_inputs.read_config(arguments.config, arguments.set)
    if config["train.max_steps"] < 1:
        raise SystemExit("train.max_steps is not set; give --set train.max_steps=N")
    if arguments.threads or config["threads"]:
        torch.set_num_threads(arguments.threads or config["threads"])
    torch.manual_seed(config["seed"])
    T = config["model.block_size"]
    train = run_inputs.Windows(run_inputs.shard_paths(arguments.train or config["data.train"], "train"), T)
    val = run_inputs.Windows(run_inputs.shard_paths(arguments.val or config["data.val"], "val"), T)
    weights = run_inputs.read_safetensors(arguments.weights) if arguments.weights else None
    if weights is not None:
        config["model.vocab_size"] = len(weights["transformer.wte.weight"])
    if not config["model.vocab_size"]:
        raise SystemExit("without --weights the vocabulary is unknown; give --set model.vocab_size=N")
    if config["batch.batch_tokens"] % T:
        raise SystemExit(f"batch.batch_tokens {config['batch.batch_tokens']} is not a multiple of block_size {T}")
    sequences = config["batch.batch_tokens"] // T
    batches = (run_inputs.recorded_batches(arguments.order) if arguments.order
               else run_inputs.batches_of_windows(config["seed"], train.count, sequences))
    precision = arguments.precision or config["precision"]
    if precision not in ("fp32", "bf16"):
        raise SystemExit(f"precision {precision} has no reference here; give --precision bf16")
    reference = Reference(config, train, val, weights,
                          arguments.micro_batch or config["batch.micro_batch"] or 8, precision)
    with open(arguments.out, "w", encoding="utf-8") as out:
        run(reference, batches, out)


if __name__ == "__main__":
    main()
