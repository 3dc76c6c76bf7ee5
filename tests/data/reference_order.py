"""The data order of docs/data-format.md, written down a second time.

Prints what the loader must give for the shards of batch_loader_test.cpp, one line a batch: the cursor
before it, its batch_hash, the first token of each window. The output is committed beside this file
as reference_order.txt. Needs the package xxhash:

    python reference_order.py > reference_order.txt
"""
import struct

import xxhash

M = 0xFFFFFFFF


def philox(counter, key):  # Philox4x32-10
    a, b, c, d = counter
    k0, k1 = key & M, key >> 32
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k0, q & M, (p >> 32) ^ d ^ k1, p & M
        k0, k1 = (k0 + 0x9E3779B9) & M, (k1 + 0xBB67AE85) & M
    return a, b, c, d


def window_at(seed, epoch, count, sample):  # which window is number `sample` of the epoch
    words = philox((2, 0, 0, 0), seed)
    key = words[1] << 32 | words[0]
    h = max(1, ((count - 1).bit_length() + 1) // 2)
    while True:
        left, right = sample >> h, sample & ((1 << h) - 1)
        for i in range(8):
            mixed = philox((right, i, epoch & M, epoch >> 32), key)[0] & ((1 << h) - 1)
            left, right = right, left ^ mixed
        sample = left << h | right
        if sample < count:
            return sample


def batches(shards, T, seed, N, epoch=0, sample=0):  # shards: lists of tokens
    windows = [s[k * T : k * T + T + 1] for s in shards for k in range((len(s) - 1) // T)]
    while True:
        begin, rows = (epoch, sample), []
        for _ in range(N):
            rows.append(windows[window_at(seed, epoch, len(windows), sample)])
            epoch, sample = (epoch, sample + 1) if sample + 1 < len(windows) else (epoch + 1, 0)
        hashes = [xxhash.xxh3_64_intdigest(struct.pack(f"<{T + 1}i", *row)) for row in rows]
        yield begin, rows, xxhash.xxh3_64_hexdigest(struct.pack(f"<{N}Q", *hashes))


def main():
    shards = [list(range(0, 7 * 4 + 2)), list(range(1000, 1000 + 16 * 4 + 4))]
    for count, ((epoch, sample), rows, batch_hash) in enumerate(batches(shards, T=4, seed=77, N=5)):
        if count == 20:
            break
        print(epoch, sample, batch_hash, *(row[0] for row in rows))


if __name__ == "__main__":
    main()
