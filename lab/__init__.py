"""A real Run:ai-like cluster on one machine, to try the product and to test it.

Two kinds: a *control plane* with simulated nodes (no root, seconds), and *hosts*: machines with systemd, sshd,
containerd and a kubelet, joined by kubeadm. Nothing of the product imports this package, and it is not installed.
"""
