#!/usr/bin/env python3
"""Runs clang-tidy over the sources of a build, two at a time, and remembers what was clean.

    tools/clang_tidy.py BUILD-FOLDER [--memory FOLDER] [--jobs N] [--tests] [PATH-PART...]

Takes src/ (with --tests also tests/) from the compile commands of BUILD-FOLDER; with PATH-PARTs only the files whose
path contains one. A file is clean again without a run when nothing it depends on has changed: itself, the headers of
this repository that it includes, its command, .clang-tidy, and clang-tidy's version. Prints what clang-tidy finds and
a last line of counts; ends with 1 when it found anything.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

CLANG_TIDY = "clang-tidy-14"
ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def clang_command(command):
    """GCC's command as Clang takes it: no precompiled header (the two cannot read each other's), no ccache."""
    words = iter(shlex.split(command))
    result = []
    for word in words:
        if word in ("-include", "-o"):
            next(words)
        elif word == "-Winvalid-pch" or word.startswith("-fpch") or pathlib.Path(word).name == "ccache":
            continue
        else:
            result.append(word)
    # Warnings are GCC's task; a flag that only GCC has is no finding.
    return result + ["-Wno-unknown-warning-option", "-Wno-everything"]


@functools.lru_cache(maxsize=None)
def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.lru_cache(maxsize=None)
def includes_of(path):
    found = []
    for name in INCLUDE.findall(path.read_text(errors="replace")):
        for folder in (ROOT / "src", ROOT / "tests", path.parent):
            if (folder / name).is_file():
                found.append((folder / name).resolve())
                break
    return tuple(found)


def dependencies_of(path):
    seen = {path}
    waiting = [path]
    while waiting:
        for header in includes_of(waiting.pop()):
            if header not in seen:
                seen.add(header)
                waiting.append(header)
    return sorted(seen)


def key_of(path, command, common):
    text = hashlib.sha256()
    # The folder of a clone does not matter, what stands in it does.
    text.update((common + " ".join(command).replace(str(ROOT), ".")).encode())
    for dependency in dependencies_of(path):
        text.update(f"{dependency.relative_to(ROOT)} {digest_of(dependency)}\n".encode())
    return text.hexdigest()


def run(path, database):
    start = time.monotonic()
    result = subprocess.run(
        [CLANG_TIDY, "-p", str(database), "--quiet", f"--config-file={ROOT / '.clang-tidy'}", str(path)],
        capture_output=True, text=True, check=False)
    found = result.stdout.strip()
    if result.returncode != 0 and not found:
        found = result.stderr.strip()
    return result.returncode == 0 and not found, found, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build_folder", type=pathlib.Path)
    parser.add_argument("--memory", type=pathlib.Path, help="folder of marks, one a clean file")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tests", action="store_true")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_args()

    version = subprocess.run([CLANG_TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    common = "\n".join([version, digest_of(ROOT / ".clang-tidy"), digest_of(ROOT / "tools" / "dependencies.lock")])
    folders = ["src", "tests"] if options.tests else ["src"]
    commands = {}
    for entry in json.loads((options.build_folder / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if any(path.is_relative_to(ROOT / folder) for folder in folders):
            commands[path] = (entry["directory"], clang_command(entry["command"]))
    paths = sorted(path for path in commands
                   if not options.parts or any(part in str(path.relative_to(ROOT)) for part in options.parts))
    if not paths:
        sys.exit("clang_tidy.py: no source matches")

    database = options.build_folder / "clang-tidy"
    database.mkdir(exist_ok=True)
    (database / "compile_commands.json").write_text(json.dumps([
        {"directory": directory, "file": str(path), "arguments": command}
        for path, (directory, command) in commands.items()]))
    if options.memory:
        options.memory.mkdir(parents=True, exist_ok=True)

    marks = {path: options.memory / key_of(path, commands[path][1], common) for path in paths} if options.memory else {}
    waiting = [path for path in paths if path not in marks or not marks[path].exists()]
    dirty = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(run, path, database): path for path in waiting}
        for number, future in enumerate(concurrent.futures.as_completed(runs), 1):
            path = runs[future]
            clean, found, seconds = future.result()
            print(f"[{number}/{len(waiting)}] {path.relative_to(ROOT)} {seconds:.0f} s", file=sys.stderr, flush=True)
            if clean:
                if path in marks:
                    marks[path].touch()
            else:
                dirty += 1
                print(found.replace(str(ROOT) + os.sep, ""), flush=True)
    print(f"clang-tidy: {len(paths)} sources, {len(paths) - len(waiting)} known clean, {dirty} with findings")
    return 1 if dirty else 0


if __name__ == "__main__":
    sys.exit(main())
