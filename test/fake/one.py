# SPDX-License-Identifier: Apache-2.0
"""One object of the API server of apiserver.py, by its name."""


class One:
    """Of the Handler, which has refuse() and answer()."""

    def get(self, kind, namespace, name):
        """concepts, "API verbs": get."""
        with self.api.lock:
            object = kind.objects.get((namespace, name))
        if object:
            self.answer(200, object)
        else:
            self.refuse(404, "NotFound", f'{kind.plural} "{name}" not found')
