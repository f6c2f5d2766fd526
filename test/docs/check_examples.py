# SPDX-License-Identifier: Apache-2.0
"""Examples: documents are valid, and commands print what is shown."""

import glob
import os
import re
import subprocess
import tempfile

import yaml

from checks import check

COMMAND = re.compile(r"\$ (.*\bkmesh-rl (?:convert|validate|check)\b.*)")


def run(tree, command, directory, text=""):
    """Its exit status, and what it printed, complaints first."""
    path = f"{tree.build}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", command], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False, cwd=directory, env={**os.environ, "PATH": path, "NO_COLOR": "1"})
    return done.returncode, done.stdout


def whole(document):
    """A document of a RateLimit, of which `spec` or `rules` alone may be shown. None: it is of something else."""
    if not isinstance(document, dict) or document.get("kind", "RateLimit") != "RateLimit":
        return None
    if "kind" in document:
        return document
    spec = document.get("spec") or ({"rules": document["rules"]} if "rules" in document else None)
    if not isinstance(spec, dict):
        return None
    if not {"service", "services", "targetRefs", "endpoints"} & set(spec):
        spec["service"] = "web"
    if "services" not in spec:
        spec.setdefault("rules", [{"limit": "10/minute"}])
    return {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit", "metadata": {"name": "shown"}, "spec": spec}


def examples(page):
    """(where, text) of each RateLimit in blocks of YAML."""
    for block in page.blocks:
        if block.language != "yaml":
            continue
        documents = list(yaml.safe_load_all(block.text))
        if all(isinstance(one, dict) and "kind" in one for one in documents):
            if any(one["kind"] == "RateLimit" for one in documents):
                yield page.at(block.line), block.text
            continue
        for document in filter(None, map(whole, documents)):
            yield page.at(block.line), yaml.safe_dump(document, sort_keys=False)


@check
def ratelimits_in_documents_are_valid(tree):
    seen = 0
    for page in tree.pages.values():
        for where, text in examples(page):
            seen += 1
            status, printed = run(tree, "kmesh-rl validate -f -", tree.top, text)
            if status:
                yield f"{where}: {printed.splitlines()[0]}"
    if seen < 20:
        yield f"docs: only {seen} RateLimits are found"


@check
def examples_to_apply_are_valid_and_told(tree):
    """Each file of deploy/examples, by itself; a page says what it is for."""
    told = {name: page.at(number) for page in tree.pages.values() for number, target in page.links()
            for name in re.findall(r"deploy/examples/([\w./-]+\.yaml)$", target)}
    top = os.path.join(tree.top, "deploy", "examples")
    for path in sorted(glob.glob(os.path.join(top, "*.yaml"))):
        status, printed = run(tree, f"kmesh-rl validate -f '{path}'", tree.top)
        if status:
            yield f"{os.path.relpath(path, tree.top)}: {printed.splitlines()[0]}"
        if os.path.basename(path) not in told:
            yield f"docs/examples.md: {os.path.relpath(path, tree.top)} is not told"


def sessions(page):
    """(line, command, output) of each command that is shown with what it prints."""
    for block in page.blocks:
        current = None
        for offset, line in enumerate(block.text.split("\n")[:-1], 1):
            command = COMMAND.fullmatch(line)
            if line.startswith("$ "):
                if current:
                    yield current
                current = (block.line + offset, command[1], "") if command else None
            elif current:
                current = (*current[:2], f"{current[2]}{line}\n")
        if current:
            yield current


def files_of(page, directory):
    """Write the blocks that begin with "# NAME.yaml" there; their names."""
    names = set()
    for block in page.blocks:
        name = re.match(r"# ([\w-]+\.yaml)\n", block.text)
        if name:
            names.add(name[1])
            with open(os.path.join(directory, name[1]), "w", encoding="utf-8") as file:
                file.write(block.text)
    return names


@check
def commands_print_what_is_shown(tree):
    shown = 0
    for page in tree.pages.values():
        with tempfile.TemporaryDirectory() as directory:
            names = files_of(page, directory)
            for line, command, output in sessions(page):
                if not set(re.findall(r"[\w-]+\.yaml", command)) <= names or "--live" in command:
                    if page.name == "docs/migration.md":
                        yield f"{page.at(line)}: a file of the command is not shown"
                    continue
                shown += 1
                _, printed = run(tree, command, directory)
                if printed != output:
                    yield f"{page.at(line)}: it prints\n{printed}"
    if not shown:
        yield "docs: no command is shown with its output"


@check
def what_convert_prints_is_valid(tree):
    page, shown = tree.pages["docs/migration.md"], 0
    with tempfile.TemporaryDirectory() as directory:
        files_of(page, directory)
        for line, command, _ in sessions(page):
            if not re.search(r"\bconvert -f \S+$", command):
                continue
            shown += 1
            status, printed = run(tree, f"{command} 2>/dev/null | kmesh-rl validate -f -", directory)
            if status:
                yield f"{page.at(line)}: {printed.splitlines()[0]}"
    if not shown:
        yield f"{page.name}: shows no conversion"
