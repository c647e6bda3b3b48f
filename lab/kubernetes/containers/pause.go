package containers

import (
	"os"
	"os/signal"
	"syscall"
)

// pause holds a pod's namespaces open: it reaps orphans, since it may be process 1 of the pod, and ends when told to.
func pause() int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return 0
		}
		reap()
	}
	return 0
}

func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
