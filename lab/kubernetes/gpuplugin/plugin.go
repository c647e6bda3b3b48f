package gpuplugin

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// plugin answers the kubelet. A GPU that stopped working stays listed as unhealthy, as with the vendor's plugin:
// the node's capacity keeps counting it, allocatable does not.
type plugin struct {
	api.UnimplementedDevicePluginServer
	gpus *counter
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	for {
		working, known, changed := p.gpus.now()
		devices := make([]*api.Device, known)
		for i := range devices {
			devices[i] = &api.Device{ID: fmt.Sprintf("GPU-%d", i), Health: api.Healthy}
			if i >= working {
				devices[i].Health = api.Unhealthy
			}
		}
		if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
			return err
		}
		log.Printf("%d of %d GPUs healthy", working, known)
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{})
	}
	return response, nil
}
