"""Against kubeadm hosts that are reached over SSH and switched off and on."""
