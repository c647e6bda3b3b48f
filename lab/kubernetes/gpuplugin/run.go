// Package gpuplugin advertises GPUs that do not exist to the kubelet, through the kubelet's own device-plugin API, so
// that a node's nvidia.com/gpu come and go as they do with the vendor's plugin: they vanish when the plugin is evicted,
// and are back only when it has registered again.
package gpuplugin

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	resource = "nvidia.com/gpu"
	endpoint = "lab-gpu.sock"
	look     = time.Second
	register = 10 * time.Second
)

// Run serves and registers until ctx ends. The kubelet removes all plugins' sockets when it starts and forgets their
// registrations, so both are made anew whenever the kubelet's socket is another one than before, or ours is gone.
func Run(ctx context.Context) error {
	folder := api.DevicePluginPath
	if other := os.Getenv("DEVICE_PLUGINS"); other != "" {
		folder = other
	}
	gpus, err := newDevices()
	if err != nil {
		return err
	}
	go gpus.watch(ctx)
	for ctx.Err() == nil {
		if err := session(ctx, folder, gpus); err != nil {
			log.Printf("not registered: %v", err)
		}
		wait(ctx, look)
	}
	return nil
}

// session is one registration; it returns when the kubelet has restarted or ctx ends.
func session(ctx context.Context, folder string, gpus *devices) error {
	kubelet := filepath.Join(folder, filepath.Base(api.KubeletSocket))
	own := filepath.Join(folder, endpoint)
	before := identity(kubelet)
	if before == "" {
		return fmt.Errorf("no kubelet at %s", kubelet)
	}
	if err := os.Remove(own); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", own)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, &plugin{gpus: gpus})
	defer server.Stop()
	go func() {
		if err := server.Serve(listener); err != nil {
			log.Printf("serving: %v", err)
		}
	}()
	if err := announce(ctx, kubelet); err != nil {
		return err
	}
	log.Printf("registered")
	mine := identity(own)
	for ctx.Err() == nil && identity(kubelet) == before && identity(own) == mine {
		wait(ctx, look)
	}
	return nil
}

func announce(ctx context.Context, kubelet string) error {
	ctx, cancel := context.WithTimeout(ctx, register)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	request := &api.RegisterRequest{Version: api.Version, Endpoint: endpoint, ResourceName: resource}
	_, err = api.NewRegistrationClient(connection).Register(ctx, request)
	return err
}

// identity tells one socket file from a later one at the same path; an inode number alone may be reused.
func identity(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	return fmt.Sprintf("%d %d", inode, info.ModTime().UnixNano())
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
