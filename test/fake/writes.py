# SPDX-License-Identifier: Apache-2.0
"""What writes to the API server of apiserver.py: Events, and server-side apply to a status. Sources are named as there, and
as in apply.py."""

import apply


class Writes:
    """Of the Handler, which has refuse(), answer(), headers and api."""

    def create(self, kind, namespace, object):
        """concepts, "API verbs": create. Of Events (core/v1, and pkg/apis/core/validation, events.go): what is involved
        has to be in the same namespace."""
        api = self.api
        name = object.get("metadata", {}).get("name")
        if kind.kind != "Event":
            self.refuse(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        elif not name or len(name) > 253 or object["involvedObject"].get("namespace") != namespace or \
                object["metadata"].get("namespace", namespace) != namespace:
            self.refuse(422, "Invalid", f'Event "{name}" is invalid')
        else:
            with api.lock:
                there = (namespace, name) in kind.objects
                if not there:
                    kind.objects[namespace, name] = object
            if there:
                self.refuse(409, "AlreadyExists", f'events "{name}" already exists')
            else:
                self.answer(201, object)

    def merge(self, kind, namespace, name, patch):
        """RFC 7386, which application/merge-patch+json is."""
        api = self.api
        if self.headers["Content-Type"] != "application/merge-patch+json" or kind.kind != "Event":
            self.refuse(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
            return
        with api.lock:
            object = kind.objects.get((namespace, name))
            if object:
                object = kind.objects[namespace, name] = {**object, **patch}
        if object:
            self.answer(200, object)
        else:
            self.refuse(404, "NotFound", f'events "{name}" not found')

    def patch_status(self, namespace, name, query, object):
        """SSA, "Server-side apply" and its API; apiserver, pkg/endpoints/handlers/patch.go: a field manager is required,
        and what a status belongs to is not made by it."""
        api = self.api
        manager = query.get("fieldManager", "")
        named = f'ratelimits.kmesh.net "{name}"'
        if self.headers["Content-Type"] != "application/apply-patch+yaml":
            self.refuse(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        elif not manager or len(manager) > 128:
            # meta/v1, validation, ValidatePatchOptions().
            self.refuse(422, "Invalid", "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for "
                                        "apply patch")
        elif object.get("kind") != "RateLimit" or \
                object.get("apiVersion") != "kmesh.net/v1alpha1" or object["metadata"].get("name") != name:
            self.refuse(400, "BadRequest", "not what is applied")
        elif "managedFields" in object["metadata"]:
            self.refuse(400, "BadRequest", "metadata.managedFields must be nil")
        else:
            try:
                self.answer(200, api.apply_status(name, namespace, manager, object.get("status", {}),
                                                  query.get("force") == "true"))
            except KeyError:
                self.refuse(404, "NotFound", f"{named} not found")
            except apply.Conflict as conflict:
                who, path = conflict.args[0][0]
                self.refuse(409, "Conflict", f'Apply failed with {len(conflict.args[0])} conflict: conflict with "{who}" '
                                             f"with subresource \"status\": .status.{'.'.join(path)}")
            except apply.Untyped as untyped:
                # apiserver, pkg/endpoints/handlers/fieldmanager: no API error, so that it is an internal one.
                self.refuse(500, "", f"failed to create typed patch object ({namespace}/{name}; kmesh.net/v1alpha1, "
                                     f"Kind=RateLimit): {untyped}")
            except apply.Invalid as invalid:
                self.refuse(422, "Invalid", f"{named} is invalid: {invalid}")
