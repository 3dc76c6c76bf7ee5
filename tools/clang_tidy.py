#!/usr/bin/env python3
"""Runs clang-tidy over the sources of a build, a room at a time, and remembers what was clean.

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
import shutil
import subprocess
import sys
import time

CLANG = "clang++-14"
CLANG_TIDY = "clang-tidy-14"
ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE_LINE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])')
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


class Group:
    """Sources of one room with the same flags, one after the other in one file.

    Headers are most of clang-tidy's time: so they are read once for a whole room. A second inclusion by a later source
    is left out, which readability-duplicate-include would take for a finding.
    """

    def __init__(self, name, paths, flags, folder):
        self.paths = paths
        self.flags = flags
        self.source = folder / f"{name}.cpp"
        self.origin = []  # of each line: path and line number
        seen = set()
        lines = []
        for path in paths:
            own = []
            for number, line in enumerate(path.read_text().splitlines(), 1):
                include = INCLUDE_LINE.match(line)
                if include:
                    own.append(include.group(1))
                lines.append("" if include and include.group(1) in seen else line)
                self.origin.append((path, number))
            seen.update(own)
        self.source.write_text("\n".join(lines) + "\n")

    def at_home(self, text):
        """What was said of the common file, said of the sources it is made of."""
        def place(match):
            path, number = self.origin[min(int(match.group(1)), len(self.origin)) - 1]
            return f"{path.relative_to(ROOT)}:{number}:"
        return re.sub(re.escape(str(self.source)) + r":(\d+):", place, text).replace(str(ROOT) + os.sep, "")

    def colliding(self):
        """Sources that cannot stand behind the others, for a name that both have."""
        result = subprocess.run([*self.flags, str(self.source), "-fsyntax-only", "-ferror-limit=0"],
                                capture_output=True, text=True, check=False)
        errors = re.findall(re.escape(str(self.source)) + r":(\d+):\d+: error:", result.stderr)
        if result.returncode != 0 and not errors:
            return set(self.paths)
        return {self.origin[int(line) - 1][0] for line in errors}


def grouped(commands, paths, folder, jobs):
    """Groups in which every source compiles; one that collides waits for the next group of its room."""
    waiting = {}
    for path in paths:
        command = [word for word in commands[path][1] if word not in ("-c", str(path))]
        room = "-".join(path.relative_to(ROOT).parts[:2])
        waiting.setdefault((room, tuple(command)), []).append(path)

    def split(item):
        (room, flags), left = item
        compiler = [CLANG, *flags[1:]]
        groups = []
        while left:
            name = f"{room}-{hashlib.sha256(' '.join(flags).encode()).hexdigest()[:6]}-{len(groups)}"
            good = left
            group = Group(name, good, compiler, folder)
            # Again without them: a source that does not compile hides what comes after it.
            while len(good) > 1 and (bad := group.colliding()):
                good = [path for path in good if path not in bad] or left[:1]
                group = Group(name, good, compiler, folder)
            groups.append(group)
            left = [path for path in left if path not in good]
        return groups

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return [group for groups in pool.map(split, waiting.items()) for group in groups]


def run(group, database):
    start = time.monotonic()
    result = subprocess.run(
        [CLANG_TIDY, "-p", str(database), "--quiet", f"--config-file={ROOT / '.clang-tidy'}", str(group.source)],
        capture_output=True, text=True, check=False)
    found = result.stdout.strip()
    if result.returncode != 0 and not found:
        found = result.stderr.strip()
    return result.returncode == 0 and not found, group.at_home(found), time.monotonic() - start


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

    if options.memory:
        options.memory.mkdir(parents=True, exist_ok=True)
    marks = {path: options.memory / key_of(path, commands[path][1], common) for path in paths} if options.memory else {}
    waiting = [path for path in paths if path not in marks or not marks[path].exists()]

    # Under a folder of that name, so that the filter of .clang-tidy takes it for the sources it is made of.
    database = (options.build_folder / "clang-tidy" / "src").resolve()
    shutil.rmtree(database, ignore_errors=True)
    database.mkdir(parents=True)
    groups = grouped(commands, waiting, database, options.jobs)
    (database / "compile_commands.json").write_text(json.dumps([
        {"directory": str(database), "file": str(group.source), "arguments": [*group.flags, "-c", str(group.source)]}
        for group in groups]))
    dirty = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(run, group, database): group for group in groups}
        for number, future in enumerate(concurrent.futures.as_completed(runs), 1):
            group = runs[future]
            clean, found, seconds = future.result()
            print(f"[{number}/{len(groups)}] {group.source.stem}: {len(group.paths)} sources, {seconds:.0f} s",
                  file=sys.stderr, flush=True)
            if clean:
                for path in group.paths:
                    if path in marks:
                        marks[path].touch()
            else:
                dirty += len(group.paths)
                print(found, flush=True)
    print(f"clang-tidy: {len(paths)} sources, {len(paths) - len(waiting)} known clean, {dirty} not clean")
    return 1 if dirty else 0


if __name__ == "__main__":
    sys.exit(main())
