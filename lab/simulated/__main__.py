"""The simulator's process: ``python -m lab.simulated NAME`` runs until SIGTERM."""

from __future__ import annotations

import json
import logging
import resource
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from lab.api import Api
from lab.errors import LabError
from lab.layout import Lab
from lab.simulated.control import listen, read_line
from lab.simulated.host import Host, load, load_all
from lab.simulated.kubelet import Kubelets
from lab.simulated.machine import Machine
from lab.simulated.ssh_server import load_key

LOGGER = logging.getLogger("lab.simulator")


class Simulator:
    """All machines of a lab, and the requests to them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._authorized = load_key(lab.ssh_key.read_text())
        self._selector = selectors.DefaultSelector()
        self._machines: dict[str, Machine] = {}
        self._kubelets = Kubelets(Api(lab.kubeconfig), self._host_of)
        for host in load_all(lab):
            self._add(host)

    def run(self) -> None:
        listener = listen(self._lab.folder)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        self._kubelets.start()
        LOGGER.info("%d hosts", len(self._machines))
        while True:
            for key, _ in self._selector.select(timeout=1.0):
                act: Callable[[], None] = key.data
                act()

    def _host_of(self, node: str) -> Host | None:
        machine = self._machines.get(node)
        return machine.host if machine else None

    def _add(self, host: Host) -> None:
        node = host.node
        self._machines[node] = Machine(
            self._lab, host, self._authorized, self._selector, lambda: self._kubelets.look(node), self._hosts
        )

    def _hosts(self) -> list[Host]:
        return [machine.host for machine in list(self._machines.values())]

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                answer = {"answer": self._carry_out(json.loads(read_line(connection)))}
            except LabError as error:
                answer = {"error": str(error)}
            except (OSError, ValueError, KeyError) as error:
                answer = {"error": f"bad request: {error!r}"}
            try:
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except OSError as error:
                LOGGER.info("nobody waits for %s: %s", answer, error)

    def _carry_out(self, wish: dict[str, Any]) -> str:
        if wish["do"] == "ping":
            return "pong"
        node = str(wish["node"])
        if wish["do"] == "add":
            self._add(load(self._lab.simulated / f"{node}.json"))
            self._kubelets.look(node)
            return "added"
        machine = self._machines.get(node)
        if wish["do"] == "remove":
            if machine is not None:
                del self._machines[node]
                machine.close()
            return "removed"
        if machine is None:
            raise LabError(f"no simulated host for node {node!r}; there are: {', '.join(sorted(self._machines))}")
        if wish["do"] == "power":
            return machine.power(str(wish["action"]))
        if wish["do"] == "fault":
            machine.fault(str(wish["fault"]), bool(wish["present"]))
            return ", ".join(machine.host.faults) or "no faults"
        raise LabError(f"unknown request {wish['do']!r}")


def main() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Simulator(Lab(sys.argv[1])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
