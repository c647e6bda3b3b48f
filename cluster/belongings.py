"""Which labels, annotations and taints of a Node belong to somebody who writes them himself. Pure.

These are never copied from an old Node to a new one: the owner writes them again, and until then an old value would be
a lie (a product of a GPU that was changed, an address of a network that was made anew). Everything else is the
administrator's, and nobody but us brings it back.

Sources: the Run:ai documentation (repository run-ai/docs); https://kubernetes.io/docs/reference/labels-annotations-taints/;
GPU Feature Discovery's labels, https://github.com/NVIDIA/k8s-device-plugin/tree/main/docs/gpu-feature-discovery;
node-feature-discovery, Flannel, Calico, Cilium and OVN-Kubernetes for their annotations on Nodes.
"""

from __future__ import annotations

from cluster import taints
from cluster.node import Taint

OWN = "runai-downtime/"
ROLE = "node-role.kubernetes.io/"
RUNAI_ROLE = f"{ROLE}runai-"

# The administrator's, although what is beside them is not: how the GPUs of this node are to be set up.
_ADMINISTRATORS_LABELS = (
    "nvidia.com/mig.config",
    "nvidia.com/gpu.workload.config",
    "nvidia.com/device-plugin.config",
    "nvidia.com/vgpu.config",
)
_LABELS = (
    "runai/node-pool",  # Run:ai, from the node pool's own selector label, which is copied
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "kubernetes.io/hostname",
    "node.kubernetes.io/instance-type",
    # kubeadm, when a control-plane node joins; a machine that comes back as a worker must not have them.
    f"{ROLE}control-plane",
    f"{ROLE}master",
    "node.kubernetes.io/exclude-from-external-load-balancers",
)
_LABEL_BEGINNINGS = (
    OWN,
    "beta.kubernetes.io/",
    "feature.node.kubernetes.io/",
    "nfd.node.kubernetes.io/",
    "kubeadm.alpha.kubernetes.io/",
    "nvidia.com/gpu.",  # product, count, memory, present, deploy.*, … : GPU Feature Discovery and the operator
    "nvidia.com/gpu-",  # the operator's driver upgrades
    "nvidia.com/mig.",
    "nvidia.com/mig-",
    "nvidia.com/cuda.",
    "nvidia.com/gfd.",
    "nvidia.com/mps.",
    "nvidia.com/vgpu.",
)
_ANNOTATIONS = (
    "volumes.kubernetes.io/controller-managed-attach-detach",
    "alpha.kubernetes.io/provided-node-ip",
    "kubectl.kubernetes.io/last-applied-configuration",
)
_ANNOTATION_BEGINNINGS = (
    OWN,
    "kubeadm.alpha.kubernetes.io/",
    "node.alpha.kubernetes.io/",
    "kubelet.kubernetes.io/",
    "csi.volume.kubernetes.io/",
    "nfd.node.kubernetes.io/",
    "nvidia.com/gpu",
    # Addresses and keys of the pod network, which it makes anew for a new Node.
    "flannel.alpha.coreos.com/",
    "projectcalico.org/IPv",
    "projectcalico.org/VXLAN",
    "projectcalico.org/Wireguard",
    "network.cilium.io/",
    "io.cilium.network",
    "k8s.ovn.org/",
)
_TAINT_BEGINNINGS = (
    f"{ROLE}control-plane",
    f"{ROLE}master",
    "feature.node.kubernetes.io/",
    "nfd.node.kubernetes.io/",
    "node.cilium.io/",
    "DeletionCandidateOfClusterAutoscaler",
    "ToBeDeletedByClusterAutoscaler",
)


def is_administrators_label(key: str) -> bool:
    """Whether nobody else brings this label back."""
    if key in _ADMINISTRATORS_LABELS:
        return True
    return key not in _LABELS and not key.startswith(_LABEL_BEGINNINGS)


def is_administrators_annotation(key: str) -> bool:
    """Whether nobody else brings this annotation back."""
    return key not in _ANNOTATIONS and not key.startswith(_ANNOTATION_BEGINNINGS)


def is_administrators_taint(taint: Taint) -> bool:
    """Whether nobody else brings this taint back: not one of a procedure, a condition, kubeadm or a controller."""
    key = str(taint.get("key", ""))
    if not key or taints.is_drain(taint) or taints.is_own(taint) or taints.is_condition(taint):
        return False
    return not key.startswith(_TAINT_BEGINNINGS)
