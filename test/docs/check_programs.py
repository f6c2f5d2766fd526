# SPDX-License-Identifier: Apache-2.0
"""Flags and commands, checks of diagnose, and what the agent says in its log."""

import glob
import os
import re

from checks import check, differ
from pages import spans

FLAG = re.compile(r"--[a-z][a-z-]+")


def flags_of(help_text):
    """Each flag as the help writes it, with its value: "-n", "--namespace NAMESPACE"."""
    found = set()
    for line in help_text.split("\n"):
        flag = re.match(r"  (?: {4}|(-\w), )?(--[a-z-]+(?: (?:'[^']+'|\S+))?)(?:  |$)", line)
        if flag:
            found.update(filter(None, flag.groups()))
    return found


def told_flags(page, tables):
    return {span: page.at(row.line) for table in tables for row in table.rows for span in spans(row.cells[0])
            if span.startswith("-")}


def tables_of_flags(page, section):
    return [table for table in page.tables if table.header[0] == "flag" and table.section.startswith(section)]


@check
def flags_of_the_agent(tree):
    page = tree.pages["docs/reference.md"]
    told = told_flags(page, tables_of_flags(page, "kmesh-rl-agent"))
    yield from differ(told, flags_of(tree.printed("kmesh-rl-agent", "--help")), page.name, "kmesh-rl-agent --help")


@check
def commands_and_their_flags(tree):
    page = tree.pages["docs/cli.md"]
    overview = tree.printed("kmesh-rl", "help")
    every = flags_of(overview[overview.index("Flags of every"):overview.index("Flags without")])
    commands = set(re.findall(r"^  ([a-z]+) ", overview, re.MULTILINE)) - {"help"}
    sections = {section for section in page.sections if section.startswith("kmesh-rl ")}
    yield from differ({section.split()[1]: page.name for section in sections}, commands, page.name, "kmesh-rl help")
    yield from differ(told_flags(page, [table for table in tables_of_flags(page, "kmesh-rl") if table.section == "kmesh-rl"]),
                      every, page.name, "kmesh-rl help, flags of every command")
    for command in sorted(commands):
        known = flags_of(tree.printed("kmesh-rl", "help", command)) - every
        told = told_flags(page, tables_of_flags(page, f"kmesh-rl {command}"))
        if known or told:
            yield from differ(told, known, page.name, f"kmesh-rl help {command}")


@check
def subjects_of_commands(tree):
    """`get ratelimits` and the others have a section each."""
    page = tree.pages["docs/cli.md"]
    for command in ("get", "describe", "diagnose"):
        usage = tree.printed("kmesh-rl", "help", command).split()
        told = {section.split()[2]: page.name for section in page.sections if section.startswith(f"kmesh-rl {command} ")}
        yield from differ(told, set(usage[usage.index(command) + 1].split("|")), page.name, f"kmesh-rl help {command}")


@check
def flags_wherever_they_are_named(tree):
    """In all that is said of one of the programs: a span of code, or a line of a block."""
    known = {name: set(FLAG.findall(tree.printed(name, "--help" if name == "kmesh-rl-agent" else "help")))
             for name in ("kmesh-rl-agent", "kmesh-rl")}
    for command in re.findall(r"^  ([a-z]+) ", tree.printed("kmesh-rl", "help"), re.MULTILINE):
        known["kmesh-rl"] |= set(FLAG.findall(tree.printed("kmesh-rl", "help", command)))
    named = 0
    for page in tree.pages.values():
        for number, line in enumerate(page.lines, 1):
            for said in spans(line) + [line]:
                program = re.match(r"\s*(?:\$ )?(kmesh-rl-agent|kmesh-rl) [^|]*$", re.split(r" [|#] |;", said)[0])
                if not program:
                    continue
                named += 1
                for flag in FLAG.findall(program[0]):
                    if flag not in known[program[1]]:
                        yield f"{page.at(number)}: {program[1]} has no flag {flag}"
    if not named:
        yield "docs: no call of a program is found"


@check
def checks_of_diagnose(tree):
    page = tree.pages["docs/cli.md"]
    table = next(table for table in page.tables if table.header[0] == "check")
    told = {name: page.at(row.line) for row in table.rows for name in spans(row.cells[0]) if name != "feature-NAME"}
    source = "tools/kmesh-rl/diagnose_checks.c"
    yield from differ(told, tree.strings(source, r'^\t\{ "([a-z-]+)", (?:krl_)?(?:check_|NULL)'), page.name, source)


@check
def messages_of_the_log(tree):
    page = tree.pages["docs/operations.md"]
    table = next(table for table in page.tables if table.header[0] == "`msg`")
    told = {text: page.at(row.line) for row in table.rows for text in spans(row.cells[0])}
    known = set()
    for path in glob.glob(os.path.join(tree.top, "agent", "**", "*.c"), recursive=True):
        path = os.path.relpath(path, tree.top)
        for message in tree.strings(path, r'\b(?:krl_log_(?!lines)[a-z]+\(|(?:krl_log|krl_log_lines)\([^,]*,)((?:[^",;]|"[^"]*")*),'):
            known |= set(re.findall(r'"([^"]*)"', message))
    yield from differ(told, known, page.name, "what the agent logs")


@check
def columns_of_tables(tree):
    """Each title that a table of kmesh-rl may have."""
    text, seen = "\n".join(tree.pages["docs/cli.md"].lines), set()
    for path in glob.glob(os.path.join(tree.top, "tools", "kmesh-rl", "*.c")):
        seen |= tree.strings(os.path.relpath(path, tree.top), r'\{ "([A-Z][A-Z/-]*)", *"[a-zA-Z]*", *KRL_COLUMN')
    if not seen:
        yield "tools/kmesh-rl: no columns are found"
    for title in sorted(seen):
        if not re.search(rf"\b{title}\b", text):
            yield f"docs/cli.md: the column {title} is not told"
