"""Puts what looks like Run:ai on a lab's cluster, and waits until it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from lab.api import JSON, Api
from lab.layout import Lab
from lab.patience import until
from lab.runai import controller, definitions, releases, service, workloads
from lab.runai.objects import create, create_all
from lab.runai.volumes import Kept
from lab.runai.workloads import IMAGE, Work
from lab.spec import GPUS_PER_HOST, GPUS_PER_SIMULATED_NODE, Spec

RUNAICONFIG = "/apis/run.ai/v1/namespaces/runai/runaiconfigs/runai"
GPU = "nvidia.com/gpu"
SECONDS = 120.0


def install(lab: Lab, spec: Spec, kept: Kept, *, image: str = IMAGE) -> None:
    """Make everything; ``image`` holds the lab's multi-call binary (simulated nodes start no image).

    ``kept`` is where the control plane's own data lie, if there is one.

    Returns when the GPUs are there and the workloads are made, spread over the GPU nodes; await_ready waits for the
    pods. Raises LabError.
    """
    api = Api(lab.kubeconfig)
    create_all(api, definitions.namespaces(spec.saas))
    _at_once(api, [*(definitions.definitions() if spec.runai_kinds else ()), *definitions.priorities()])
    _at_once(api, releases.secrets(kept.password, spec.saas))
    pods = [service.node_agent(image), *service.cluster_part(image)]
    if not spec.saas:
        pods += service.backend(image, kept)
    if spec.hosts:
        pods.append(service.gpu_plugin(image, GPUS_PER_HOST))
    _at_once(api, pods)
    if spec.runai_kinds:
        _at_once(api, [*definitions.projects(), *definitions.node_pools(), definitions.runaiconfig()])
        controller.start(lab)
        set_available(api, available=True)
    # Workloads that come before all GPUs do would crowd on the first node that has some.
    _await("GPUs on every GPU worker", lambda: _without_gpus(api))
    _at_once(api, _workloads(image))


def set_available(api: Api, *, available: bool) -> None:
    """Set the service's condition Available, as Run:ai's operator does."""
    api.patch(f"{RUNAICONFIG}/status", definitions.runaiconfig_status(available))


def await_ready(lab: Lab, spec: Spec) -> None:
    """Wait until all pods of the service and the workloads are ready; the workloads only as far as GPUs allow.

    Raises LabError that names what is not ready.
    """
    api = Api(lab.kubeconfig)
    gpus = spec.simulated * GPUS_PER_SIMULATED_NODE + (spec.workers * GPUS_PER_HOST if spec.hosts else 0)
    without = max(0, sum(_gpus(body) for body in _workloads(IMAGE)) - gpus)
    _await("the pods of the service", lambda: _unready(api, without))


def _workloads(image: str) -> list[JSON]:
    def work(project: str, user: str, kind: str) -> Work:
        return Work(project=project, user=user, spread=kind, image=image)

    return [
        workloads.training("resnet", work("team-a", "anna", "training")),
        workloads.training("bert", work("team-a", "ben", "training")),
        workloads.training("llama", work("team-b", "cleo", "training")),
        workloads.interactive("jupyter-anna", work("team-a", "anna", "interactive")),
        workloads.interactive("vscode-ben", work("team-a", "ben", "interactive")),
        workloads.interactive("jupyter-cleo", work("team-b", "cleo", "interactive")),
    ]


def _at_once(api: Api, bodies: Iterable[JSON]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda body: create(api, body), bodies))


def _without_gpus(api: Api) -> list[str]:
    nodes = api.items("/api/v1/nodes?labelSelector=node-role.kubernetes.io/runai-gpu-worker")
    return [node["metadata"]["name"] for node in nodes if int(node["status"].get("allocatable", {}).get(GPU, "0")) == 0]


def _gpus(workload: JSON) -> int:
    """How many GPUs a workload asks for."""
    container = workload["spec"]["template"]["spec"]["containers"][0]
    return int(container.get("resources", {}).get("limits", {}).get(GPU, "0"))


def _unready(api: Api, without: int) -> list[str]:
    """Names of what is not ready yet; ``without`` workloads may wait, as there is no GPU for them (one each)."""
    missing: list[str] = []
    waiting: list[str] = []
    for kind in ("deployments", "statefulsets", "daemonsets"):
        for body in api.items(f"/apis/apps/v1/{kind}"):
            status, ours = body.get("status", {}), "lab/content" in body["metadata"].get("labels", {})
            if kind == "daemonsets":
                done = status.get("observedGeneration") and status["numberReady"] >= status["desiredNumberScheduled"]
            else:
                done = status.get("readyReplicas", 0) >= body["spec"]["replicas"]
            if not done:
                (missing if ours else waiting).append(f"{kind}/{body['metadata']['name']}")
    jobs = api.items("/apis/batch/v1/jobs")
    waiting += [f"jobs/{job['metadata']['name']}" for job in jobs if not job.get("status", {}).get("ready")]
    return missing + (waiting if len(waiting) > without else [])


def _await(what: str, missing: Callable[[], list[str]]) -> None:
    until(lambda: not missing(), seconds=SECONDS, what=lambda: f"{what}: {', '.join(sorted(missing()))} still missing")
