"""Making the plan."""

from prefect import task

from cluster import downtime, planners, planning
from cluster.options import Options
from cluster.plan import Plan
from tasks import publishing, sessions
from tasks.retrying import RETRIES


@task(name="plan", **RETRIES)
def plan(node: str, options: Options, *, dry_run: bool) -> Plan:
    """Look at cluster, machine and backups, and say what will be done. Changes nothing.

    A real run reads the checksums of the backup set back: that is the recovery gate.
    """
    api, settings = sessions.api(), sessions.settings()
    downtime.require_cluster(api, settings)
    _, made = planning.plan(api, settings, node, options, depth="sizes" if dry_run else planning.run_depth(options))
    publishing.plan(made)
    return made


def require_feasible(made: Plan) -> None:
    """Refuse to go on with a plan that has blockers.

    Raises:
        Blocked: with all of them.
        Waiting: somebody works on the node on purpose: it is left to them.
    """
    refusal = planners.refusal(made)
    if refusal is not None:
        raise refusal
