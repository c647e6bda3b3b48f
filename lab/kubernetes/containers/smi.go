package containers

import (
	"fmt"
	"os"
	"strings"
)

// nvidiaSmi lists the GPUs that the container was given by the lab's device plugin, whatever it is asked.
func nvidiaSmi() int {
	if failure := os.Getenv("LAB_GPU_FAILURE"); failure != "" {
		fmt.Println(failure)
		return 15
	}
	given := os.Getenv("NVIDIA_VISIBLE_DEVICES")
	if given == "" {
		fmt.Println("No devices were found")
		return 6
	}
	for number, id := range strings.Split(given, ",") {
		fmt.Printf("GPU %d: NVIDIA A100-SXM4-80GB (UUID: %s)\n", number, id)
	}
	return 0
}
