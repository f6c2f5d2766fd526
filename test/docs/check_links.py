# SPDX-License-Identifier: Apache-2.0
"""Links lead somewhere, and to every page."""

import os
import re

from checks import check


def target_of(page, link):
    """The path from the top, and the anchor, that a link within the tree is to."""
    path, _, anchor = link.partition("#")
    return os.path.normpath(os.path.join(os.path.dirname(page.name), path)) if path else page.name, anchor


@check
def links_lead_somewhere(tree):
    for page in tree.pages.values():
        for number, link in page.links():
            if re.match(r"[a-z]+:", link):
                continue
            path, anchor = target_of(page, link)
            if not os.path.exists(os.path.join(tree.top, path)):
                yield f"{page.at(number)}: there is no {path}"
            elif anchor and path in tree.pages and anchor not in tree.pages[path].anchors:
                yield f"{page.at(number)}: {path} has no #{anchor}"


@check
def every_page_is_in_the_readme(tree):
    readme = tree.pages["README.md"]
    named = {target_of(readme, link)[0] for _, link in readme.links()}
    for name in sorted(set(tree.pages) - named - {"README.md"}):
        yield f"README.md: {name} is not named"
