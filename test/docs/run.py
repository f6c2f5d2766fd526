# SPDX-License-Identifier: Apache-2.0
"""Whether the documents are true, as far as a program can tell: what they name is there, what is there is named, their
examples are valid and print what they show.

    run.py TOP BUILD [RESULTS]
"""

import glob
import importlib
import os
import sys
import traceback

import checks


def outcome(check, tree):
    try:
        return list(check(tree))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [f"test/docs/{os.path.basename(where.filename)}:{where.lineno}: {error!r}"]


def main(top, build, results=None):
    here = os.path.dirname(os.path.abspath(__file__))
    for path in sorted(glob.glob(os.path.join(here, "check_*.py"))):
        importlib.import_module(os.path.basename(path)[:-len(".py")])
    tree = checks.Tree(top, build)
    rows = []
    for check in checks.CHECKS:
        breaches = outcome(check, tree)
        for breach in breaches:
            print(breach)
        print(f"{'FAIL' if breaches else 'ok':5} docs-check/{check.__name__}")
        reason = breaches[0].replace("\t", " ").replace("\n", " ") if breaches else ""
        rows.append(f"{'fail' if breaches else 'pass'}\tdocs-check\t{check.__name__}\t{reason}\n")
    if results:
        with open(results, "w", encoding="utf-8") as file:
            file.writelines(rows)
    return 1 if any(row.startswith("fail") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
