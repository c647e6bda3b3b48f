package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	clientremote "k8s.io/client-go/tools/remotecommand"
	streaming "k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

const (
	idle    = 4 * time.Hour // the kubelet's own
	streams = 30 * time.Second
)

// killed is the exit status of a process that was killed, as a container runtime reports it.
const killed = 128 + int(syscall.SIGKILL)

type kubelet struct {
	pods   map[string]pod
	faults faults
}

// ServeHTTP answers /exec/NAMESPACE/POD/CONTAINER, and with what the kubelet says to the rest.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	words := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if len(words) < 4 || words[0] != "exec" {
		http.NotFound(w, req)
		return
	}
	name := words[1] + "/" + words[2]
	fault := k.faults.next()
	if fault.Status != 0 {
		http.Error(w, fault.Text, fault.Status)
		return
	}
	if _, there := k.pods[name]; !there {
		http.Error(w, "no commands run in this simulated pod", http.StatusInternalServerError)
		return
	}
	options, err := streaming.NewOptions(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	command := req.URL.Query()["command"]
	if len(command) == 0 {
		http.Error(w, "no command", http.StatusBadRequest)
		return
	}
	container := &execution{pod: k.pods[name], fault: fault}
	streaming.ServeExec(w, req, container, name, types.UID(""), words[len(words)-1], command, options, idle, streams,
		remotecommand.SupportedStreamingProtocols)
}

// execution is one command. It is not ended when its client goes away: then its standard input ends, and what it
// writes has no reader any more.
type execution struct {
	pod   pod
	fault fault
}

// ExecInContainer runs the command to its end; the error tells an exit status other than 0.
func (e *execution) ExecInContainer(
	_ context.Context, name string, _ types.UID, _ string, command []string, in io.Reader, out, errors io.WriteCloser,
	_ bool, _ <-chan clientremote.TerminalSize, _ time.Duration,
) error {
	cmd := e.command(command)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		// No exit status: containerd tells it the same way, as an internal error.
		return fmt.Errorf("failed to start exec: %w", err)
	}
	log.Printf("%s: %s runs as process %d", name, command[0], cmd.Process.Pid)
	go func() {
		if in != nil {
			_, _ = io.Copy(stdin, in)
		}
		_ = stdin.Close()
	}()
	var copying sync.WaitGroup
	copying.Add(2)
	go func() { defer copying.Done(); e.copy(out, stdout, cmd.Process) }()
	go func() { defer copying.Done(); e.copy(errors, stderr, nil) }()
	copying.Wait()
	return exitStatus(cmd.Wait())
}

func (e *execution) command(command []string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = slices.Concat(e.pod.Env, []string{"PATH=" + os.Getenv("PATH")})
	cmd.Dir = e.pod.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if e.pod.UID >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(e.pod.UID), Gid: uint32(e.pod.GID)}
	}
	return cmd
}

// copy hands on what the process writes. A process that may be killed is, after as many bytes as the fault says.
func (e *execution) copy(to io.WriteCloser, from io.ReadCloser, process *os.Process) {
	defer func() { _ = from.Close() }() // who writes to nobody is told so
	if to == nil {
		_, _ = io.Copy(io.Discard, from)
		return
	}
	if process == nil || e.fault.KillAfter == 0 {
		_, _ = io.Copy(to, from)
		return
	}
	if passed, err := io.CopyN(to, from, e.fault.KillAfter); err == nil {
		log.Printf("killing process %d after %d bytes", process.Pid, passed)
		_ = syscall.Kill(-process.Pid, syscall.SIGKILL)
	}
}

func exitStatus(err error) error {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return err
	}
	code := ended.ExitCode()
	if code < 0 {
		code = killed
	}
	return utilexec.CodeExitError{Err: err, Code: code}
}
