package main

import (
	"os"

	"go.etcd.io/etcd/etcdctl/v3/ctlv3"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

func etcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func etcdctl() int {
	ctlv3.MustStart()
	return 0
}
