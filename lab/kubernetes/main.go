// Command lab is everything that runs on the lab's machines and in its containers, in one binary.
//
// It is called by a link that bears the wanted command's name (etcd, kubelet, kubectl, …), or with that name as its
// first argument. One binary instead of ten, because the parts share nearly all of their code: it is linked once and
// an image from an empty base needs a single file.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// commands maps a command's name to what runs it; each value returns the exit status.
var commands = map[string]func() int{
	"etcd":                    etcd,
	"etcdctl":                 etcdctl,
	"kube-apiserver":          apiserver,
	"kube-controller-manager": controllerManager,
	"kube-scheduler":          scheduler,
	"kube-proxy":              proxy,
	"kubelet":                 kubelet,
	"kubectl":                 kubectl,
	"kubeadm":                 kubeadm,
	"gpu-plugin":              gpuPlugin,
	"lab-pause":               containerMain,
	"lab-work":                containerMain,
	"nvidia-smi":              containerMain,
}

func main() {
	name := filepath.Base(os.Args[0])
	if commands[name] == nil && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = filepath.Base(os.Args[0])
	}
	command := commands[name]
	if command == nil {
		known := slices.Sorted(maps.Keys(commands))
		fmt.Fprintf(os.Stderr, "no command %q in this binary; it has: %s\n", name, strings.Join(known, " "))
		os.Exit(2)
	}
	os.Exit(command())
}
