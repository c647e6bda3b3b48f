package containers

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// work stands for a researcher's program. It runs until SIGTERM.
//
// EXIT_AFTER=seconds makes it finish by itself with status 0; IGNORE_TERM_SECONDS=seconds makes it linger after
// SIGTERM, like a program that writes a checkpoint.
func work() int {
	exitAfter, err := seconds("EXIT_AFTER")
	if err != nil {
		return usage(err)
	}
	linger, err := seconds("IGNORE_TERM_SECONDS")
	if err != nil {
		return usage(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var finished <-chan time.Time
	if exitAfter > 0 {
		finished = time.After(exitAfter)
	}
	fmt.Println("working")
	select {
	case <-finished:
		fmt.Println("finished")
	case s := <-signals:
		fmt.Printf("%v: saving for %v\n", s, linger)
		time.Sleep(linger)
	}
	return 0
}

func seconds(variable string) (time.Duration, error) {
	text := os.Getenv(variable)
	if text == "" {
		return 0, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number < 0 {
		return 0, fmt.Errorf("%s=%q is no number of seconds", variable, text)
	}
	return time.Duration(number * float64(time.Second)), nil
}

func usage(err error) int {
	fmt.Fprintln(os.Stderr, "lab-work:", err)
	return 2
}
