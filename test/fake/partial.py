# SPDX-License-Identifier: Apache-2.0
"""kubernetes.io, "Kubernetes API Concepts", "Metadata-only fetches"."""


def is_asked(headers, form):
    """Of several media types the first that is known counts."""
    first = headers.get("Accept", "").split(",")[0]
    return f"as={form};g=meta.k8s.io;v=v1" in first.replace(" ", "")


def metadata_of(object):
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}
