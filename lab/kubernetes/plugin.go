package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"downtime.lab/kubernetes/containers"
	"downtime.lab/kubernetes/gpuplugin"
)

// gpuPlugin advertises the GPUs that the lab pretends to have, until it is told to stop.
func gpuPlugin() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := gpuplugin.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "gpu-plugin:", err)
		return 1
	}
	return 0
}

// containerMain runs the programs of containers. It is reached only when package containers did not take over earlier.
func containerMain() int { return containers.Run(os.Args[0]) }
