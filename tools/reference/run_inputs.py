"""What a holdfast run is made of, read in Python: config, token shards, windows, their order, weights.

The formats are those of docs/config.md, docs/data-format.md and docs/checkpoint-format.md. numpy only.
"""

import glob
import json
import os
import re
from pathlib import Path

import numpy

# The defaults of the options used here (docs/config.md).
DEFAULTS = {
    "name": "run", "seed": 1337, "precision": "bf16", "threads": 0, "data.train": [], "data.val": [],
    "model.n_layer": 4, "model.n_head": 4, "model.n_embd": 128, "model.block_size": 128, "model.vocab_size": 0,
    "model.dropout": 0.0, "model.attention_dropout": 0.0, "model.bias": True,
    "batch.batch_tokens": 16384, "batch.micro_batch": 0,
    "train.max_steps": 0, "train.eval_interval": 250, "train.eval_tokens": 0,
    "optimizer.learning_rate": 6e-4, "optimizer.weight_decay": 0.1, "optimizer.beta1": 0.9, "optimizer.beta2": 0.95,
    "optimizer.epsilon": 1e-8, "optimizer.grad_clip": 1.0,
    "schedule.kind": "cosine", "schedule.steps": 0, "schedule.warmup_steps": 0, "schedule.min_learning_rate": 0.0,
}


def without_comments(text):
    """JSON text without its // and /* */ comments; strings are left alone."""
    token = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
    return token.sub(lambda match: match[0] if match[0].startswith('"') else " ", text)


def flattened(tree, prefix=""):
    """{"model": {"n_layer": 4}} and {"model.n_layer": 4} alike as the latter."""
    flat = {}
    for key, value in tree.items():
        flat.update(flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def read_config(path, overrides):
    """Every option above, from the defaults, the file, then `overrides` (texts KEY=VALUE)."""
    config = dict(DEFAULTS) | {"name": Path(path).stem}
    config.update(flattened(json.loads(without_comments(Path(path).read_text()))))
    for override in overrides:
        key, _, value = override.partition("=")
        try:
            config[key] = json.loads(value)
        except json.JSONDecodeError:
            config[key] = value
    for key, default in DEFAULTS.items():
        if config[key] in ("auto", "off", "none", "all") and not isinstance(default, str):
            config[key] = 0
        if isinstance(default, list) and isinstance(config[key], str):
            config[key] = [config[key]]
    return config


def shard_paths(sources, split):
    """Files as they are; of a folder the .bin files named for the split; globs; in byte order within each."""
    words = {"train": {"train"}, "val": {"val", "valid", "validation"}}[split]
    paths = []
    for source in sources:
        found = [source] if os.path.exists(source) else sorted(glob.glob(source), key=os.fsencode)
        for path in found:
            if os.path.isdir(path):
                names = sorted(os.listdir(path), key=os.fsencode)
                paths += [os.path.join(path, name) for name in names
                          if name.endswith(".bin") and words & set(re.split(r"[_.-]", name[:-4]))]
            else:
                paths.append(path)
    if not paths:
        raise SystemExit(f"no {split} shards in {sources}: give data.{split} or --{split}")
    return paths


def open_shard(path):
    """The tokens of a shard, mapped: llm.c uint16, llm.c uint32, or raw uint16."""
    header = numpy.fromfile(path, dtype="<i4", count=256)
    magic = int(header[0]) if len(header) else 0
    for magic_known, version, dtype in ((20240520, 1, "<u2"), (20240801, 7, "<u4")):
        if magic == magic_known:
            tokens = numpy.memmap(path, dtype=dtype, mode="r", offset=1024)
            if header[1] != version or header[2] != len(tokens):
                raise SystemExit(f"{path}: version {header[1]} and {header[2]} tokens in the header, "
                                 f"{len(tokens)} in the file")
            return tokens
    return numpy.memmap(path, dtype="<u2", mode="r")


class Windows:
    """The windows of a token set, numbered through its shards; window w of a shard is tokens [w T, w T + T + 1)."""

    def __init__(self, paths, window_tokens):
        self.window_tokens = window_tokens
        self.shards = [open_shard(path) for path in paths]
        self.ends = numpy.cumsum([max(0, (len(shard) - 1) // window_tokens) for shard in self.shards])
        self.count = int(self.ends[-1])
        if self.count == 0:
            raise SystemExit(f"no window of {window_tokens} tokens in {paths}")

    def read(self, numbers):
        """int64 [len(numbers), T + 1]."""
        rows = []
        for number in numbers:
            shard = int(numpy.searchsorted(self.ends, number, side="right"))
            begin = (int(number) - (int(self.ends[shard - 1]) if shard else 0)) * self.window_tokens
            rows.append(self.shards[shard][begin:begin + self.window_tokens + 1])
        return numpy.stack(rows).astype(numpy.int64)


def philox4x32(counter, key):
    """Philox4x32-10 on four uint64 arrays that hold 32-bit values."""
    low32 = numpy.uint64(0xFFFFFFFF)
    shift = numpy.uint64(32)
    key_low, key_high = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        product_0 = counter[0] * numpy.uint64(0xD2511F53)
        product_1 = counter[2] * numpy.uint64(0xCD9E8D57)
        counter = [(product_1 >> shift) ^ counter[1] ^ numpy.uint64(key_low), product_1 & low32,
                   (product_0 >> shift) ^ counter[3] ^ numpy.uint64(key_high), product_0 & low32]
        key_low, key_high = (key_low + 0x9E3779B9) & 0xFFFFFFFF, (key_high + 0xBB67AE85) & 0xFFFFFFFF
    return counter


class GlobalOrder:
    """The permutation of one epoch (docs/data-format.md): a Feistel network over Philox with cycle walking."""

    DATA_ORDER_STREAM = 2
    ROUNDS = 8

    def __init__(self, seed, epoch, count):
        numbers = [numpy.array([value], dtype=numpy.uint64) for value in (self.DATA_ORDER_STREAM, 0, 0, 0)]
        mixed = philox4x32(numbers, seed)
        self.key = int(mixed[1][0]) << 32 | int(mixed[0][0])
        self.epoch, self.count = epoch, count
        bits = (count - 1).bit_length()
        self.half_bits = 1 if bits <= 2 else (bits + 1) // 2

    def _encrypt(self, values):
        mask = numpy.uint64((1 << self.half_bits) - 1)
        shift = numpy.uint64(self.half_bits)
        low32 = numpy.uint64(0xFFFFFFFF)
        left, right = values >> shift, values & mask
        for number in range(self.ROUNDS):
            constants = [numpy.full_like(right, value)
                         for value in (number, self.epoch & 0xFFFFFFFF, self.epoch >> 32)]
            left, right = right, left ^ (philox4x32([right & low32, *constants], self.key)[0] & mask)
        return left << shift | right

    def windows_at(self, samples):
        """The windows that are numbers `samples` of the epoch."""
        values = self._encrypt(numpy.asarray(samples, dtype=numpy.uint64))
        outside = values >= self.count
        while outside.any():
            values[outside] = self._encrypt(values[outside])
            outside = values >= self.count
        return values.astype(numpy.int64)


def batches_of_windows(seed, windows_per_epoch, sequences):
    """Step after step: the numbers of the windows of the global batch; a batch runs on into the next epoch."""
    epoch, sample = 0, 0
    order = GlobalOrder(seed, epoch, windows_per_epoch)
    while True:
        batch = []
        while len(batch) < sequences:
            end = min(sample + sequences - len(batch), windows_per_epoch)
            batch += order.windows_at(range(sample, end)).tolist()
            sample = end
            if sample == windows_per_epoch:
                epoch, sample = epoch + 1, 0
                order = GlobalOrder(seed, epoch, windows_per_epoch)
        yield batch


def recorded_batches(path):
    """The same from a file: a line a step, either [w, w, ...] or {"step": n, "windows": [w, w, ...]}."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            yield record["windows"] if isinstance(record, dict) else record


def read_safetensors(path):
    """{name: fp32 array} of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if entry["dtype"] != "F32":
                raise SystemExit(f"{path}: {name} is {entry['dtype']}; fp32 weights are needed")
            begin, end = entry["data_offsets"]
            file.seek(start + begin)
            tensors[name] = numpy.frombuffer(file.read(end - begin), dtype="<f4").reshape(entry["shape"]).copy()
    return tensors
