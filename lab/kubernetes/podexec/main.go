// Command pod-exec is the part of a kubelet that runs commands in a pod's container, for simulated pods.
//
// It serves what the API server asks a kubelet for when somebody execs into a pod, with the kubelet's own code for the
// streams; the command runs on this machine, in the environment that the settings give to the pod. Only the API server
// may ask: it shows a certificate of the lab's authority.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

// settings are read once, from the file that the only argument names.
type settings struct {
	Listen      string         `json:"listen"`
	Certificate string         `json:"certificate"`
	Key         string         `json:"key"`
	ClientCA    string         `json:"client_ca"`
	Faults      string         `json:"faults"`
	Pods        map[string]pod `json:"pods"` // by NAMESPACE/NAME
}

// pod is where the commands of one pod run. UID -1: as whom this program runs.
type pod struct {
	UID int      `json:"uid"`
	GID int      `json:"gid"`
	Dir string   `json:"dir"`
	Env []string `json:"env"`
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: pod-exec SETTINGS")
	}
	if err := serve(os.Args[1]); err != nil {
		log.Fatal("pod-exec: ", err)
	}
}

func serve(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var chosen settings
	if err := json.Unmarshal(text, &chosen); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	authority, err := os.ReadFile(chosen.ClientCA)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	server := http.Server{
		Addr:              chosen.Listen,
		Handler:           &kubelet{pods: chosen.Pods, faults: faults{path: chosen.Faults}},
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert},
		// A connection of HTTP/2 can't be upgraded to streams.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	log.Printf("serving %d pods on %s", len(chosen.Pods), chosen.Listen)
	return server.ListenAndServeTLS(chosen.Certificate, chosen.Key)
}
