# SPDX-License-Identifier: Apache-2.0
"""The documents: what stands in their tables, code blocks, headings and links, and at which line."""

import collections
import glob
import os
import re

Row = collections.namedtuple("Row", "line cells")
Block = collections.namedtuple("Block", "line language text")
SPAN = re.compile(r"`([^`]+)`")


class Table:
    def __init__(self, section, header):
        self.section = section
        self.header = header
        self.rows = []

    def column(self, *titles):
        """The place of the column that has one of these titles."""
        return next(self.header.index(title) for title in titles if title in self.header)


def cells(line):
    """Of a row; \\| is no border."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def anchor(heading):
    """How GitHub calls it."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


class Page:
    def __init__(self, top, name):
        self.name = name
        with open(os.path.join(top, name), encoding="utf-8") as file:
            self.lines = file.read().split("\n")
        self.tables, self.blocks, self.anchors, self.prose = [], [], set(), []
        self.sections = collections.defaultdict(list)
        self._read()

    def _read(self):
        section, table, block = "", None, None
        for number, line in enumerate(self.lines, 1):
            self.sections[section].append(line)
            if line.startswith("```"):
                if block:
                    self.blocks.append(Block(block[0], block[1], "".join(f"{one}\n" for one in block[2])))
                block = None if block else (number, line[3:].strip(), [])
            elif block:
                block[2].append(line)
            elif line.startswith("#"):
                section = line.lstrip("#").strip()
                self.anchors.add(anchor(section))
                self.sections[section].append(line)
            elif line.startswith("|"):
                self.prose.append((number, line))
                if not table:
                    table = Table(section, cells(line))
                    self.tables.append(table)
                elif not re.fullmatch(r"[|\- :]+", line):
                    table.rows.append(Row(number, cells(line)))
                continue
            else:
                self.prose.append((number, line))
            table = None

    def at(self, line):
        return f"{self.name}:{line}"

    def links(self):
        for number, line in self.prose:
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                yield number, target


def all_pages(top):
    names = ["README.md"] + sorted(os.path.relpath(path, top) for path in glob.glob(os.path.join(top, "docs", "*.md")))
    return {name: Page(top, name) for name in names}


def spans(cell):
    """What is in a cell in the manner of code."""
    return SPAN.findall(cell)
