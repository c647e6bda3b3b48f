package gpuplugin

import (
	"context"
	"log"
	"strings"

	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// plugin answers the kubelet. A GPU that stopped working stays listed as unhealthy, as with the vendor's plugin:
// the node's capacity keeps counting it, allocatable does not.
type plugin struct {
	api.UnimplementedDevicePluginServer
	gpus *devices
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	for {
		found, changed := p.gpus.state()
		if err := stream.Send(&api.ListAndWatchResponse{Devices: found}); err != nil {
			return err
		}
		healthy := 0
		for _, one := range found {
			if one.Health == api.Healthy {
				healthy++
			}
		}
		log.Printf("%d of %d GPUs healthy", healthy, len(found))
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// Allocate tells a container which GPUs it was given, as the vendor's plugin does; and, where that is so, why it will not
// be able to use one, which its nvidia-smi then says.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, asked := range request.ContainerRequests {
		given := &api.ContainerAllocateResponse{Envs: map[string]string{
			"NVIDIA_VISIBLE_DEVICES": strings.Join(asked.DevicesIds, ","),
		}}
		if failure := p.gpus.failure(asked.DevicesIds); failure != "" {
			given.Envs["LAB_GPU_FAILURE"] = failure
		}
		response.ContainerResponses = append(response.ContainerResponses, given)
	}
	return response, nil
}
