"""Kubeconfig files, with all certificates inside, so that one file is all that a client needs."""

from __future__ import annotations

import base64
import json

from lab.pki import Issued


def kubeconfig(server: str, authority: str, user: str, credential: Issued) -> str:
    """The text of a kubeconfig (JSON is YAML)."""

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority-data": encoded(authority)}}],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": encoded(credential.certificate),
                    "client-key-data": encoded(credential.key),
                },
            }
        ],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        "current-context": "lab",
    }
    return json.dumps(document, indent=2) + "\n"
