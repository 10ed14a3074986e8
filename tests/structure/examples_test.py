#!/usr/bin/env python3
"""Compiles the examples in the comments at the top of headers.

  examples_test.py SOURCE-DIR BUILD-DIR [HEADER...]

Headers of FOLDERS are checked. An example is a block of lines in a header's first comment that is indented by three spaces
and has a line that ends a statement; tables and diagrams have none. Its code is the body of a function in the header's namespace. Where it needs
more, tests/examples/FOLDER/HEADER.cc says what: a source in which the statement EXAMPLE; stands for the code. In the code
"..." stands for whatever a reader puts there: alone on a line, in braces or parentheses, or after "= ", ") " and the ": "
of a case.

Examples are checked a folder at a time, with the compiler and the include paths of BUILD-DIR/compile_commands.json, and
messages name the header's line. With HEADERs, only these are checked.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

FOLDERS = ("proto", "vaultguard", "shard", "shard/hosting", "shard/tab", "actors", "services/base", "services/peering",
           "services/net", "services/node", "services/scenario", "services/emulator", "services/client",
           "services/report", "services/cluster", "services/cli")
STATEMENT = re.compile(r";\s*(//.*)?$")


def example_of(text):
    """The code of a header's example, as (line number, text) pairs; empty without one."""
    code, block = [], []

    def end_block():
        if any(STATEMENT.search(line) for _, line in block):
            code.extend(block)
        block.clear()

    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("//"):
            break
        if re.match(r"//\s{3,}\S", line):
            block.append((number, line[5:]))
        else:
            end_block()
    end_block()
    return code


def without_dots(line):
    """Puts something that compiles in the place of "..." in code."""
    code, slashes, comment = line.partition("//")
    if code.strip() == "...":
        code = code.replace("...", "")
    code = re.sub(r"\{ \.\.\. \}", "{}", code)
    code = re.sub(r"\) \.\.\.(\s*)$", r") {}\1", code)
    code = re.sub(r"^(\s*case .*): \.\.\.(\s*)$", r"\1: break;\2", code)
    code = re.sub(r"= \.\.\.;", "= {};", code)
    code = code.replace("(...)", "()")
    return code + slashes + comment


def namespace_of(text):
    found = re.search(r"^namespace ([\w:]+) \{", text, re.MULTILINE)
    return found.group(1) if found else "lvs"


def source_of(root, header, number):
    """The includes and the body that check a header's example."""
    text = (root / header).read_text(encoding="utf-8")
    code = "".join(f'#line {line} "{header}"\n{without_dots(part)}\n' for line, part in example_of(text))
    context = root / "tests/examples" / pathlib.Path(header).with_suffix(".cc")
    if context.is_file():
        body = context.read_text(encoding="utf-8")
        assert body.count("EXAMPLE;") == 1, f"{context} must have one EXAMPLE;"
    else:
        name = namespace_of(text)
        body = f"namespace {name} {{\nvoid Example() {{\nEXAMPLE;\n}}\n}}  // namespace {name}\n"
    includes = [f'#include "{header}"'] + re.findall(r"^#include .*$", body, re.MULTILINE)
    body = re.sub(r"^(#include|//) ?.*$", "", body, flags=re.MULTILINE)
    body = re.sub(r"\bExample\b", f"Example{number}", body)
    return includes, body.replace("EXAMPLE;", "\n" + code)


def compiler(build):
    """The compiler and the include flags of a source that sees everything."""
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        if "services/cli/" in entry["file"]:
            words = shlex.split(entry["command"])
            words = words[next(n for n, word in enumerate(words) if os.path.basename(word) != "ccache"):]
            flags = [word for word in words if word.startswith(("-I", "-std="))]
            flags += [part for word, after in zip(words, words[1:]) if word == "-isystem" for part in (word, after)]
            return [words[0], *flags, "-fsyntax-only", "-x", "c++", "-"], entry["directory"]
    raise SystemExit("no source of services/cli is in compile_commands.json")


def check(command, folder, root, headers):
    """What the compiler says against the examples of these headers; empty where it says nothing."""
    sources = [source_of(root, header, number) for number, header in enumerate(headers)]
    includes = dict.fromkeys(line for lines, _ in sources for line in lines)
    text = "\n".join(includes) + "\n" + "\n".join(body for _, body in sources)
    run = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=False)
    return run.stderr if run.returncode else ""


def self_test():
    header = ("// What it is.\n//\n//   a table   of words\n//\n//   Widget w = ...;\n//   ...\n//   if (w) ...  // why\n"
              "//\n// More.\n#pragma once\nnamespace lvs::x {\n")
    assert example_of(header) == [(5, "Widget w = ...;"), (6, "..."), (7, "if (w) ...  // why")], example_of(header)
    assert [without_dots(part) for _, part in example_of(header)] == ["Widget w = {};", "", "if (w) {}  // why"]
    assert without_dots("  case A: ...  // why") == "  case A: break;  // why"
    assert namespace_of(header) == "lvs::x"
    assert example_of("// Prose; only.\n//   a   table\n#pragma once\n") == []


def main():
    self_test()
    root, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    headers = collections.defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.h")):
            header = path.relative_to(root).as_posix()
            if example_of(path.read_text(encoding="utf-8")) and (len(sys.argv) < 4 or header in sys.argv[3:]):
                headers[os.path.dirname(header)].append(header)
    known = {header for room in headers.values() for header in room}
    failed = 0
    if len(sys.argv) < 4:
        for context in sorted((root / "tests/examples").rglob("*.cc")):
            if context.relative_to(root / "tests/examples").with_suffix(".h").as_posix() not in known:
                print(f"{context} is the context of no example")
                failed += 1
    command, folder = compiler(build)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for said in pool.map(lambda room: check(command, folder, root, room), headers.values()):
            if said:
                print(said)
                failed += 1
    print(f"{len(known)} headers with examples; {failed} complaints")
    return 1 if failed or len(known) < 1 else 0


sys.exit(main())
