package gpuplugin

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// countFile overrides GPUS while it exists: a test takes a GPU away by writing a smaller number.
const countFile = "/run/lab-gpus"

const recount = 2 * time.Second

// counter knows how many GPUs work now, and how many worked at best since the plugin started.
type counter struct {
	mutex   sync.Mutex
	normal  int
	working int
	most    int
	changed chan struct{} // closed, and replaced, at each change
}

func newCounter() (*counter, error) {
	c := &counter{changed: make(chan struct{})}
	if text := os.Getenv("GPUS"); text != "" {
		number, err := strconv.Atoi(text)
		if err != nil || number < 0 {
			return nil, fmt.Errorf("GPUS=%q is no number of GPUs", text)
		}
		c.normal = number
	}
	c.set(c.read())
	return c, nil
}

func (c *counter) read() int {
	text, err := os.ReadFile(countFile)
	if err != nil {
		return c.normal
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || number < 0 {
		log.Printf("%s holds %q, no number of GPUs: ignored", countFile, text)
		return c.normal
	}
	return number
}

func (c *counter) set(working int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if working == c.working {
		return
	}
	c.working, c.most = working, max(working, c.most)
	close(c.changed)
	c.changed = make(chan struct{})
}

// now returns the working GPUs, those known of, and a channel that is closed when either changes.
func (c *counter) now() (working, known int, changed <-chan struct{}) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.working, c.most, c.changed
}

func (c *counter) watch(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, recount)
		c.set(c.read())
	}
}
