#!/usr/bin/env python3
"""Holds docs/compliance.md to a run of the tests: a test that it names and that did not run shows nothing.

  compliance_ran.py SOURCE-DIR TESTS.XML [--all]

TESTS.XML is what ctest --output-junit wrote. With --all every named test must be in it; without, only those that are in
it must have run: a run of the fast tests leaves others out. Exit code 1, and a line for each, where one was skipped,
disabled or left out.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree


def named_tests(page):
    """The tests between backquotes in the rows of a page, with the row's id."""
    for line in page.splitlines():
        row = re.match(r"\| ((?:SPEC|ARCH|PAPER|TEST|CHAIN)-[0-9.]+) \|", line)
        for name in re.findall(r"`(\w+\.\w+)`", line) if row else ():
            yield row.group(1), name


def complaints(page, junit, require_all):
    status = {}
    for case in junit.iter("testcase"):
        name = re.sub(r"^(?:[^.]*/)?([^/]*).*", r"\1", case.get("name"))
        ran = case.get("status") in ("run", "fail")
        status[name] = status.get(name, False) or ran
    for row, name in named_tests(page):
        if name not in status:
            if require_all:
                yield f"{row}: {name} is not among the tests of this run"
        elif not status[name]:
            yield f"{row}: {name} was skipped or is disabled"


def self_test():
    page = "| SPEC-1 | a | `b/c` | `A.Ran`, `A.Skipped` |\n| SPEC-2 | a | `b/c` | `A.Absent` |\n"
    junit = xml.etree.ElementTree.fromstring(
        '<s><testcase name="P/A.Ran/x" status="run"/><testcase name="A.Skipped" status="notrun"/></s>')
    assert len(list(complaints(page, junit, False))) == 1
    assert len(list(complaints(page, junit, True))) == 2


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    page = pathlib.Path(sys.argv[1], "docs/compliance.md").read_text(encoding="utf-8")
    found = list(complaints(page, xml.etree.ElementTree.parse(sys.argv[2]), "--all" in sys.argv[3:]))
    for complaint in found:
        print(f"docs/compliance.md: {complaint}", file=sys.stderr)
    return 1 if found else 0


sys.exit(main())
