#!/usr/bin/env python3
"""Compiles with clang -Wthread-safety every source of services/ and actors/ that can see a lock.

  thread_safety_test.py SOURCE-DIR BUILD-DIR

Sources and their include paths come from BUILD-DIR/compile_commands.json. A source that speaks of no lock, and includes
no header that does, has none to check and is left out. Two planted sources, one
of which touches a guarded member without its lock, show that the check works. Exit code 77 where clang++ is not
installed.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

FOLDERS = ("services/", "actors/")
LOCKS = re.compile(r"\bMutexLock\b|\bABSL_[A-Z_]+\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
PLANTED = """#include "services/base/mutex.h"
struct Planted {
  int Locked() {
    const lvs::services::MutexLock lock(&mu_);
    return n_;
  }
  %s
  lvs::services::Mutex mu_;
  int n_ ABSL_GUARDED_BY(mu_) = 0;
};
int Use(Planted& planted) { return planted.Locked(); }
"""


def sees_locks(root, file):
    """Whether a file, or a header that it includes itself, speaks of locks: a guarded member is used where its class is
    included by name. Headers further away cost most of the time, and show nothing new."""
    headers = [root / header for header in INCLUDE.findall((root / file).read_text())]
    return any(LOCKS.search(text.read_text()) for text in [root / file, *headers] if text.is_file())


def sources_of(entry):
    """The sources that a compile command compiles: several where the build puts them together (CMAKE_UNITY_BUILD)."""
    path = pathlib.Path(entry["directory"], entry["file"]).resolve()
    if path.parent.name != "Unity":
        return [path]
    return [pathlib.Path(file) for file in INCLUDE.findall(path.read_text())]


def include_flags(command):
    """The flags of a compile command that say what a source sees; warnings are left out."""
    words = shlex.split(command)
    flags = []
    for word, following in zip(words, words[1:] + [""]):
        if word in ("-I", "-isystem", "-D"):
            flags += [word, following]
        elif word.startswith(("-I", "-D", "-isystem", "-std=")):
            flags.append(word)
    return flags


def check(clang, flags, source, folder):
    """What clang says against a source; empty where it says nothing."""
    run = subprocess.run(
        [clang, *flags, "-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror=thread-safety", str(source)],
        cwd=folder, capture_output=True, text=True, check=False)
    return run.stderr if run.returncode or run.stderr else ""


def planted_violation_is_found(clang, flags, folder):
    with tempfile.TemporaryDirectory() as temporary:
        sound = pathlib.Path(temporary, "sound.cc")
        sound.write_text(PLANTED % "")
        unsound = pathlib.Path(temporary, "unsound.cc")
        unsound.write_text(PLANTED % "int Unlocked() { return n_; }")
        return check(clang, flags, sound, folder) == "" and "thread-safety" in check(clang, flags, unsound, folder)


def main():
    root, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    clang = shutil.which("clang++")
    if clang is None:
        print("skipped: clang++ is not installed (deploy/test.sh --full installs it)")
        return 77
    work = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        for path in sources_of(entry):
            file = os.path.relpath(path, root)
            if file.startswith(FOLDERS) and sees_locks(root, file):
                work[file] = (include_flags(entry["command"]), entry["directory"])
    if not work:
        print("no source with locks was found: are the folders named otherwise now?")
        return 1
    flags, folder = next(iter(work.values()))
    if not planted_violation_is_found(clang, flags, folder):
        print("clang does not find a planted violation, or refuses a sound source")
        return 1
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs = {file: pool.submit(check, clang, *of[:1], root / file, of[1]) for file, of in sorted(work.items())}
        for file, run in runs.items():
            if run.result():
                failed += 1
                print(f"{file}:\n{run.result()}")
    print(f"{len(work)} sources that see locks, {failed} with violations")
    return 1 if failed else 0


sys.exit(main())
