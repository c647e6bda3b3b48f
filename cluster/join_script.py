"""``kubeadm join`` on the machine itself: with a configuration that comes through standard input into memory.

The configuration holds the token. It is never an argument (every user of a host sees those), lies in a file of mode
0600 below /run, which is in memory, and is removed however the join ends. The machine itself ends a join that takes
too long, so it does not go on behind the back of whoever takes over; and a second one on the same machine waits.
"""

from __future__ import annotations

from typing import Never

from cluster.errors import Blocked, Failed
from cluster.ssh import Ssh

MARGIN = 45.0
"""Seconds that a lock must outlast a join: ending what did not end, and hearing of it."""
FOLDER = "/run/runai-downtime"
_OTHER_MACHINE, _ON_DISK, _BUSY = 79, 78, 75
_TOO_LONG = (124, 137)

# "$1": the machine id that is meant; "$2": seconds. dash runs the EXIT trap only if signals are trapped as well.
_SCRIPT = rf"""
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
test "$(cat /etc/machine-id)" = "$1" || exit {_OTHER_MACHINE}
case "$(stat -f -c %T /run)" in tmpfs|ramfs) ;; *) exit {_ON_DISK} ;; esac
umask 077
mkdir -p {FOLDER} && chmod 700 {FOLDER} || exit 1
exec 9> {FOLDER}/lock
flock -w 10 9 || exit {_BUSY}
rm -f {FOLDER}/join.*
file=$(mktemp {FOLDER}/join.XXXXXX) && said=$(mktemp {FOLDER}/join.XXXXXX) || exit 1
trap 'rm -f "$file" "$said"' EXIT
trap 'exit 129' HUP INT TERM PIPE
cat > "$file" || exit 1
systemctl unmask kubelet 9>&- && systemctl enable kubelet 9>&- || exit 1
(umask 022; exec timeout -k 10 "$2" kubeadm join --config "$file" 9>&-) </dev/null >"$said" 2>&1
code=$?
rm -f "$file"
cat "$said"
exit "$code"
"""
# A join that goes on although nobody hears it any more holds this lock. "$1": seconds.
_QUIET = f'mkdir -p -m 700 {FOLDER} && exec flock -w "$1" -E {_BUSY} {FOLDER}/lock true'


def run(ssh: Ssh, machine_id: str, configuration: str, seconds: float) -> None:
    """Let the machine join.

    Args:
        machine_id: of the machine that is meant; checked on the machine.
        configuration: the JoinConfiguration; it holds the token, which the Masker of this session knows.
        seconds: how long the join may take.

    Raises:
        Blocked: it is another machine, its /run is on a disk, or a join runs there already: nothing was done.
        Failed: ``join-failed``, with what kubeadm said last, masked; ``join-too-long``; ``join-lost``: the connection
            broke, and the join may go on.
    """
    argv = ("sh", "-c", _SCRIPT, "sh", machine_id, str(int(seconds)))
    try:
        ended = ssh.run(argv, seconds + 30, sudo=True, check=False, stdin=configuration)
    except Blocked as error:
        if error.code != "ssh-lost":
            raise
        raise Failed(
            "join-lost",
            f"{error.message}: whether it has joined is not known",
            f"'downtime resume {ssh.host.node}' waits until no join runs there any more, looks, and goes on.",
        ) from None
    if ended.exit_code != 0:
        _refuse(ssh, ended.exit_code, ended.stdout, seconds)


def await_quiet(ssh: Ssh, seconds: float) -> None:
    """Wait until no join runs on the machine.

    Raises:
        Blocked: ``join-busy``: one still does after so many seconds.
    """
    argv = ("sh", "-c", _QUIET, "sh", str(int(seconds)))
    ended = ssh.run(argv, seconds + 15, sudo=True, check=False)
    if ended.exit_code != 0:
        _refuse(ssh, ended.exit_code, ended.stderr, seconds)


def _refuse(ssh: Ssh, code: int, said: str, seconds: float) -> Never:
    again = f"'downtime resume {ssh.host.node}' resets the machine and tries again."
    if code == _OTHER_MACHINE:
        raise Blocked("host-identity", f"{ssh.host} is another machine than the one that was proven", "Look at it.")
    if code == _ON_DISK:
        raise Blocked("run-on-disk", f"/run of {ssh.host} is not in memory", "Mount a tmpfs on /run.")
    if code == _BUSY:
        raise Blocked("join-busy", f"A join still runs on {ssh.host}", f"Wait until it has ended; then {again}")
    if code in _TOO_LONG:
        raise Failed("join-too-long", f"kubeadm join on {ssh.host} was ended after {seconds:.0f} s", again)
    raise Failed(
        "join-failed",
        f"kubeadm join on {ssh.host} failed (exit {code}): {_last_words(said)}",
        f"See to it on the machine; then {again}",
    )


def _last_words(said: str) -> str:
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("error", "[ERROR", "W", "E"))]
    return " / ".join((errors or lines)[-4:])[:800] or "it printed nothing"
