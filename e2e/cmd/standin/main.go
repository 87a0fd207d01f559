// Command standin runs a stand-in for a data system until it is told to stop.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	"lifeboat.dev/e2e/standin"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port to listen on; port 0 takes a free one")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: standin [--listen ADDRESS:PORT] SYSTEM\nsystems: %s\n", strings.Join(standin.Systems(), ", "))
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *listen); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run(system, listen string) error {
	server, err := standin.New(system)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	// The one line on standard output: where it listens.
	fmt.Println(listener.Addr())
	return server.Serve(listener)
}
