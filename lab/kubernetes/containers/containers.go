// Package containers holds the main programs of the lab's containers: lab-pause (a pod's sandbox), lab-work (what
// stands for a researcher's workload) and nvidia-smi (of the GPUs that a container was given).
//
// They start while this package is initialised, and never return. Go initialises packages in the order of their import
// paths; this one depends on little and sorts before github.com and k8s.io, so the hundreds of packages of Kubernetes
// in the same binary are never initialised in such a process. Without it each container would start
// slower and hold some tens of megabytes for nothing, and a host runs dozens of them.
package containers

import (
	"os"
	"path/filepath"
)

func init() {
	name := filepath.Base(os.Args[0])
	if programs[name] == nil && len(os.Args) > 1 {
		name = os.Args[1]
	}
	if programs[name] != nil {
		os.Exit(programs[name]())
	}
}

var programs = map[string]func() int{"lab-pause": pause, "lab-work": work, "nvidia-smi": nvidiaSmi}

// Run runs one of them and returns its exit status.
func Run(name string) int { return programs[filepath.Base(name)]() }
