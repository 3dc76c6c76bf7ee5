#!/usr/bin/env python3
"""Writes gpt2_vectors.bin: texts and the ids tiktoken gives them. gpt2_tokenizer_test reads it.

    pip install tiktoken
    tests/tokenizer/make_vectors.py PATH/TO/gpt2.tiktoken > tests/tokenizer/gpt2_vectors.bin

All little-endian: "HFVEC001", u32 count of texts; then for each text: u32 bytes, u32 repeats (the text is
the bytes, `repeats` times), the bytes, u32 count of ids, and the ids as u16 when there are at most 24,
else one u64: FNV-1a over the bytes of the ids as u16. Seeded: the same tiktoken gives the same file.
"""

import base64
import random
import struct
import sys

import tiktoken

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
IDS_STORED_MAX = 24

CODE = """#include <vector>
template <typename T>
static inline std::vector<T> f(const T* p, size_t n) {
\treturn {p, p + n};  // 0x1F, 1'000'000, "it's"
}
def fib(n):
    a, b = 0, 1
    while a < n:
        print(f"{a:>8}", end="\\t")
        a, b = b, a + b
SELECT u.id, COUNT(*) FROM users AS u WHERE u.name LIKE '%o''re%' GROUP BY 1;
<div class="x">&nbsp;it's&#39;ll</div>
{"key": [1, 2.5e-10, null], "\\u00e9": "é"}
fn main() { let s: &'static str = "don't"; println!("{}", s); }
for i in $(seq 1 10); do echo "$i" >> out.txt && rm -rf ./tmp/*; done
"""

PROSE = [
    "It's what they'd've said: we'll, you're, I'm, he'd, can't -- IT'S, WE'LL, I'VE.",
    "The year 2026, 3.14159, 1,000,000 and x²³ ¼ Ⅻ ①②③ ٣٤٥ ४५६ 五六七 𝟘𝟙𝟚.",
    "Größe, naïve, Ångström, façade, Œuvre, İstanbul, ŁÓDŹ, ß, ﬁnal.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία.",
    "今日は良い天気ですね。東京タワーへ行きましょう!ｶﾀｶﾅ ひらがな",
    "我能吞下玻璃而不伤身体。中文和English混排,２０２６年。",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "முயற்சி திருவினையாக்கும் ကမ္ဘာ့ မြန်မာ ភាសាខ្មែរ",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇯🇵 ☺️ 😀😃😄 ❤️‍🔥 #️⃣ 🧑🏿‍🚀",
    "e\u0301 a\u0308\u0323 Z\u0351\u036b\u0343\u036a o\u0302\u0301 \u0915\u094d\u0937 q\u0307\u0323",
    "zero\u200bwidth\u200djoin\u2060er soft\u00adhyphen bom\ufeff rtl\u202e nbsp\u00a0thin\u2009ideo\u3000end",
    "<|endoftext|> is plain <|endoftext|>text, <|im_start|> too",
    "http://example.org/a_b-c?d=e&f=%20#g user.name+tag@example.org C:\\dir\\file.txt",
]

# Pieces whose joins are the interesting places of the pattern, well-formed and not.
SEAMS = [
    b"'s", b"'d", b"'m", b"'t", b"'ll", b"'ve", b"'re", b"'S", b"'l", b"'v", b"'", b"''", b" ", b"  ", b"\n",
    b"\t", b"\r\n", b"\x0b", b"\x0c", b"\x1c", b"\x1f", b"\x7f", b"\x00", b"\xc2\x85", b"\xc2\xa0",
    b"\xe1\x9a\x80", b"\xe1\xa0\x8e", b"\xe2\x80\x83", b"\xe2\x80\x8b", b"\xe2\x80\xa8", b"\xe3\x80\x80", b"a",
    b"the", b" the", b"Z", b"1", b"42", b" 7", b"\xc2\xb2", b"!", b"--", b"_", b"=", b"\xcc\x81",
    b"\xf0\x9f\x98\x80", b"\xe4\xb8\xad", b"\xd0\xb6", b"\xff", b"\x80", b"\xe2\x80", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xf0\x80\x80\x80",
    b"\xef\xbf\xbd", b"\xc3",
]  # fmt: skip


def planes(rng):
    """Every block of 64 code points, with letters, a digit and spaces between them in turn."""
    mixes = ["{}", "a{}", "{}1", " {}", "{} ", "  {}\n"]
    for start in range(0, 0x110000, 64):
        if 0xD800 <= start < 0xE000:
            continue
        # Of the big unassigned and private areas one block in thirty-two is enough.
        if (0x33480 <= start < 0xE0000 or start >= 0xE0200) and (start // 64) % 32:
            continue
        if 0x17200 <= start < 0x18C00 or 0x20000 <= start < 0x32000 or 0x4E00 <= start < 0x9F00:
            if (start // 64) % 8:
                continue
        mix = rng.choice(mixes)
        yield "".join(mix.format(chr(c)) for c in range(start, start + 64)).encode()


def random_character(rng):
    low, high = rng.choice(
        [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x600), (0x900, 0xE00), (0x2000, 0x2070),
         (0x3040, 0x3100), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0x1F300, 0x1FB00), (0xE000, 0x110000)]
    )  # fmt: skip
    return chr(rng.randrange(low, high))


def texts(rng):
    """(bytes, repeats) of every vector."""
    yield b"", 1
    for byte in range(256):
        yield bytes([byte]), 1
    for line in PROSE + CODE.splitlines(keepends=True) + [CODE]:
        yield line.encode(), 1
        for _ in range(20):
            encoded = line.encode()
            begin = rng.randrange(len(encoded))
            yield encoded[begin : begin + rng.randrange(1, 60)], 1  # often cut within a character
    for text in planes(rng):
        yield text, 1
    for _ in range(4500):
        yield b"".join(rng.choice(SEAMS) for _ in range(rng.randrange(1, 16))), 1
    for _ in range(1500):
        yield "".join(random_character(rng) for _ in range(rng.randrange(1, 24))).encode(), 1
    for _ in range(1500):
        yield rng.randbytes(rng.randrange(1, 40)), 1
    for _ in range(800):
        alphabet = rng.choice(["ab", "etaoin shrdlu", " \n\t", "0123456789,.", "-=*_", "aA'sS "])
        yield "".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 90))).encode(), 1
    for piece in SEAMS:
        for repeats in (2, 3, 15, 16, 17, 96, 97, 500):
            yield piece, repeats
    yield b"a", 1_000_000
    yield b"=", 100_000
    yield b" ", 100_000
    yield b"ab", 50_000
    yield "\u4e2d".encode(), 30_000
    yield b"\n", 30_000
    yield b"\xff", 20_000
    yield b"the quick brown fox ", 5_000
    yield rng.randbytes(50_000), 1
    yield bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyz") for _ in range(30_000)), 1


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def main():
    ranks = {}
    with open(sys.argv[1], "rb") as file:
        for line in file:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    encoding = tiktoken.Encoding(
        name="gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256}
    )
    records = []
    for text, repeats in texts(random.Random(20240520)):
        ids = encoding.encode_ordinary((text * repeats).decode("utf-8", errors="replace"))
        packed = struct.pack(f"<{len(ids)}H", *ids)
        if len(ids) > IDS_STORED_MAX:
            packed = struct.pack("<Q", fnv1a(packed))
        records.append(struct.pack("<II", len(text), repeats) + text + struct.pack("<I", len(ids)) + packed)
    sys.stdout.buffer.write(b"HFVEC001" + struct.pack("<I", len(records)) + b"".join(records))
    print(f"{len(records)} texts, tiktoken {tiktoken.__version__}", file=sys.stderr)


main()
