package main

import (
	"encoding/json"
	"os"
	"sync"
)

// fault is what shall go wrong with the next Times commands: they are refused (Status and Text of the answer, before
// any stream is open), or killed after KillAfter bytes of standard output.
type fault struct {
	Times     int    `json:"times"`
	Status    int    `json:"status"`
	Text      string `json:"text"`
	KillAfter int64  `json:"kill_after"`
}

// faults come from a file, which a test writes at any time; each command uses one up, and the file tells what is left.
type faults struct {
	path string
	lock sync.Mutex
}

func (f *faults) next() fault {
	f.lock.Lock()
	defer f.lock.Unlock()
	var found fault
	text, err := os.ReadFile(f.path)
	if err != nil || json.Unmarshal(text, &found) != nil || found.Times < 1 {
		return fault{}
	}
	left := found
	left.Times--
	if text, err = json.Marshal(left); err == nil {
		if err = os.WriteFile(f.path+".new", text, 0o600); err == nil {
			err = os.Rename(f.path+".new", f.path)
		}
	}
	if err != nil {
		return fault{Status: 500, Text: err.Error()}
	}
	return found
}
