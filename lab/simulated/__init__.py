"""Hosts for the simulated nodes of a control-plane lab: a real SSH server each, power, boot ids, GPUs and faults.

One process per lab serves them all. It plays the machine and the kubelet's part of the Node's status; kwok plays the
rest of the kubelet (the node's lease, and the pods).
"""
