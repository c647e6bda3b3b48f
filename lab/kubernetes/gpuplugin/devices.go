package gpuplugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"reflect"
	"strconv"
	"sync"
	"time"

	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// truth is what the lab says of this machine's GPUs; its nvidia-smi and its kernel log tell the same. On a machine
// without it there are as many GPUs as GPUS says, all of them well.
const truth = "/etc/lab/gpus/gpus.json"

const reread = time.Second

// devices knows the machine's GPUs, and which of them work now.
type devices struct {
	mutex   sync.Mutex
	normal  []*api.Device
	now     []*api.Device
	failing map[string]string // why a container cannot use a GPU, by its id
	changed chan struct{}     // closed, and replaced, at each change
}

func newDevices() (*devices, error) {
	d := &devices{changed: make(chan struct{})}
	if text := os.Getenv("GPUS"); text != "" {
		number, err := strconv.Atoi(text)
		if err != nil || number < 0 {
			return nil, fmt.Errorf("GPUS=%q is no number of GPUs", text)
		}
		for i := range number {
			d.normal = append(d.normal, &api.Device{ID: fmt.Sprintf("GPU-%d", i), Health: api.Healthy})
		}
	}
	d.now, d.failing = d.read()
	return d, nil
}

func (d *devices) read() ([]*api.Device, map[string]string) {
	text, err := os.ReadFile(truth)
	if errors.Is(err, fs.ErrNotExist) {
		return d.normal, nil
	}
	var said struct {
		Devices []struct {
			UUID    string `json:"uuid"`
			Healthy int    `json:"healthy"`
			Failure string `json:"failure"`
		} `json:"devices"`
	}
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil {
		log.Printf("%s cannot be read, nothing is changed: %v", truth, err)
		return d.now, d.failing
	}
	failing := map[string]string{}
	found := make([]*api.Device, 0, len(said.Devices))
	for _, one := range said.Devices {
		health := api.Unhealthy
		if one.Healthy == 1 {
			health = api.Healthy
		}
		found = append(found, &api.Device{ID: one.UUID, Health: health})
		if one.Failure != "" {
			failing[one.UUID] = one.Failure
		}
	}
	return found, failing
}

// state returns the GPUs, and a channel that is closed when they change.
func (d *devices) state() ([]*api.Device, <-chan struct{}) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.now, d.changed
}

// failure tells why a container that is given these GPUs cannot use them; empty: it can.
func (d *devices) failure(ids []string) string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, id := range ids {
		if d.failing[id] != "" {
			return d.failing[id]
		}
	}
	return ""
}

func (d *devices) watch(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, reread)
		d.set(d.read())
	}
}

func (d *devices) set(found []*api.Device, failing map[string]string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.failing = failing
	if reflect.DeepEqual(found, d.now) {
		return
	}
	d.now = found
	close(d.changed)
	d.changed = make(chan struct{})
}
