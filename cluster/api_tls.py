"""The client's key stays in memory: what the client library wrote to disk for TLS is gone before the first request.

A kubeconfig usually carries its certificate and key as data. The library writes them into the folder for temporary
files and removes them when Python ends in good order; a process that is killed leaves the key of a cluster's
administrator lying there. TLS needs the files only for as long as it reads them.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The library keeps its files in one table for the whole process: two sessions that open at once share them.
_OPENING = threading.Lock()


@contextmanager
def files_of_the_library() -> Iterator[None]:
    """Inside, the files that the client library wrote may be read; afterwards they are gone."""
    from kubernetes.config import kube_config

    with _OPENING:
        try:
            yield
        finally:
            kube_config._cleanup_temp_files()


def read_into_memory(client: Any) -> None:
    """Give a ``kubernetes.client.ApiClient`` all that TLS needs, so that it opens no file later.

    Raises:
        OSError: a certificate or key cannot be read or does not fit (``ssl.SSLError``).
    """
    from urllib3.util.ssl_ import create_urllib3_context

    configuration = client.configuration
    options = client.rest_client.pool_manager.connection_pool_kw
    context = create_urllib3_context(cert_reqs=options["cert_reqs"])
    authority, data = configuration.ssl_ca_cert, configuration.ca_cert_data
    if options["cert_reqs"] != ssl.CERT_NONE:
        if authority or data:
            context.load_verify_locations(cafile=authority, cadata=data)
        else:
            context.load_default_certs()
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    for name in ("ca_certs", "cert_file", "key_file", "ca_cert_data"):
        options.pop(name, None)
    options["ssl_context"] = context
