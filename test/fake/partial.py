# SPDX-License-Identifier: Apache-2.0
"""Parts of what there is: metadata alone (kubernetes.io, "Kubernetes API Concepts", "Metadata-only fetches"), and objects
that a selector of fields selects (kubernetes.io, "Field Selectors")."""


def is_asked(headers, form):
    """Of several media types the first that is known counts."""
    first = headers.get("Accept", "").split(",")[0]
    return f"as={form};g=meta.k8s.io;v=v1" in first.replace(" ", "")


def metadata_of(object):
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}


def selects(query, object):
    """Of Pods, by spec.nodeName among others (kubernetes, pkg/registry/core/pod/strategy.go, ToSelectableFields). That
    never changes once it is set."""
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        path, value = part.split("=", 1)
        found = object
        for name in path.split("."):
            found = found.get(name, {})
        if found != value:
            return False
    return True
