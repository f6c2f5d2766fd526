# SPDX-License-Identifier: Apache-2.0
"""Server-side apply to the status of an object, as Kubernetes documents it: "SSA" is kubernetes.io, Reference, Kubernetes
API, "Server-Side Apply"; "CRD" is "Extend the Kubernetes API with CustomResourceDefinitions"; "apiserver" as in
apiserver.py."""

import os
import re

CRD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../crds/kmesh.net_ratelimits.yaml")


def read_schema():
    """Of the status: the keys of its lists of maps, and the fields of their items, as the CRD has them."""
    with open(CRD, encoding="utf-8") as file:
        text = file.read()
    text = text[text.index("\n            status:\n"):]
    keys, fields = {}, {}
    for block in re.split(r"\n {16}(?=\w+:\n)", text)[1:]:
        name = block.partition(":")[0]
        key = re.search(r"x-kubernetes-list-type: map\n +x-kubernetes-list-map-keys: \[(\w+)\]", block)
        if key:
            keys[name] = key[1]
            fields[name] = set(re.findall(r"^ {22}(\w+): \{", block, re.M))
            required = re.search(r"required: \[([\w, ]+)\]", block)
            fields[name + "!"] = set(required[1].split(", "))
        elif "type: array" in block:
            raise ValueError(f"status.{name} is a list that managers would take from each other")
        else:
            fields[name] = None
    return keys, fields


KEYS, FIELDS = read_schema()


class Conflict(Exception):
    """Fields that others have: (manager, path)."""


class Invalid(Exception):
    pass


class Untyped(Exception):
    """It is not of the types that the definition has: structured-merge-diff, typed."""


def flatten(status):
    """Its leaves, by path; an item of a list of maps is a part of the path, and a leaf of its own (SSA, "Merge strategy":
    listType map, listMapKey)."""
    leaves = {}
    for name, value in status.items():
        if name not in FIELDS or name.endswith("!"):
            # Nothing is pruned of what is applied.
            raise Untyped(f".status.{name}: field not declared in schema")
        if name not in KEYS:
            leaves[(name,)] = value
            continue
        for item in value:
            key = item.get(KEYS[name])
            if key is None:
                raise Untyped(f".status.{name}: associative list with keys has an element that omits key field {KEYS[name]!r}")
            if (name, key) in leaves:
                raise Untyped(f".status.{name}: duplicate entries for key [{KEYS[name]}={key!r}]")
            leaves[(name, key)] = {}
            for field, of_item in item.items():
                if field not in FIELDS[name]:
                    raise Untyped(f'.status.{name}[{KEYS[name]}="{key}"].{field}: field not declared in schema')
                leaves[(name, key, field)] = of_item
    return leaves


def unflatten(leaves):
    status = {}
    for path, value in leaves.items():
        if len(path) == 1:
            status[path[0]] = value
        elif len(path) == 2:
            status.setdefault(path[0], []).append({})
        else:
            status[path[0]][-1][path[2]] = value
    for name, key in KEYS.items():
        for item in status.get(name, []):
            # apiextensions-apiserver, validation of the schema: 422.
            missing = FIELDS[name + "!"] - set(item)
            if missing:
                raise Invalid(f"status.{name}[{item.get(key)}]: Required value: {sorted(missing)}")
    return status


class Managed:
    """The status of an object, and who manages which fields of it (meta/v1, ManagedFieldsEntry)."""

    def __init__(self):
        self.leaves = {}
        self.owners = {}        # manager: set of paths

    def apply(self, manager, status, force=False):
        """Returns whether anything changed, be it in who manages it alone."""
        wanted = flatten(status)
        owners = {name: set(paths) for name, paths in self.owners.items()}
        conflicts = [(name, path) for name, paths in owners.items() if name != manager
                     for path in sorted(paths) if path in wanted and len(path) != 2
                     and wanted[path] != self.leaves.get(path)]
        # SSA, "Conflicts": a field that another manager has, with another value, unless it is forced; then it is this
        # manager's alone. With the same value both have it ("Sharing field ownership").
        if conflicts and not force:
            raise Conflict(conflicts)
        for name, path in conflicts:
            owners[name].discard(path)
        leaves = {**self.leaves, **wanted}
        # SSA, "Field management": what the manager had and applies no longer is removed, unless others have it too.
        for path in owners.get(manager, set()) - set(wanted):
            if not any(path in paths for name, paths in owners.items() if name != manager):
                leaves.pop(path, None)
        for path in [path for path in leaves if len(path) == 2 and not any(other[:2] == path and len(other) == 3
                                                                           for other in leaves)]:
            del leaves[path]
        owners[manager] = set(wanted)
        # structured-merge-diff, merge/update.go: a manager without fields is none any more.
        if not wanted:
            del owners[manager]
        # Items that stay keep their places; new ones are last.
        order = {path[:2]: number for number, path in enumerate(leaves)}
        leaves = dict(sorted(leaves.items(), key=lambda item: (order.get(item[0][:2], 0), len(item[0]))))
        unflatten(leaves)
        # apiserver, pkg/endpoints/handlers/fieldmanager: an apply that changes nothing is no write.
        changed = leaves != self.leaves or owners != self.owners
        self.leaves, self.owners = leaves, owners
        return changed

    @property
    def status(self):
        return unflatten(self.leaves)

    def managed_fields(self):
        """FieldsV1 of each: "f:" for fields, "k:" for items by their keys, "." for the item itself."""
        entries = []
        for manager, paths in sorted(self.owners.items()):
            tree = {}
            for path in sorted(paths):
                at = tree.setdefault("f:" + path[0], {})
                if len(path) > 1:
                    at = at.setdefault('k:{"%s":"%s"}' % (KEYS[path[0]], path[1]), {".": {}})
                if len(path) > 2:
                    at.setdefault("f:" + path[2], {})
            entries.append({"manager": manager, "operation": "Apply", "subresource": "status", "fieldsType": "FieldsV1",
                            "apiVersion": "kmesh.net/v1alpha1", "fieldsV1": {"f:status": tree}})
        return entries
