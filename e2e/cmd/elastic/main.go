// Command elastic runs real Elasticsearch servers for tests that are no Go programs: it prints a
// line with their URLs once all of them answer, and runs until it is told to end.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"lifeboat.dev/e2e/bed/elastic"
	"lifeboat.dev/e2e/bed/layout"
)

func main() {
	count := flag.Int("count", 2, "how many servers")
	listen := flag.String("listen", "127.0.0.1", "address of the machine's own to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *count, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "elastic:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, count int, listen string) error {
	dirs, err := layout.Find()
	if err != nil {
		return err
	}
	directory := elastic.Directory(dirs)
	if err := elastic.Build(directory, build); err != nil {
		return err
	}
	servers, err := elastic.StartAll(ctx, directory, listen, count)
	if err != nil {
		return err
	}
	var urls []string
	for _, server := range servers {
		defer server.Stop()
		urls = append(urls, server.URL)
	}
	fmt.Println(strings.Join(urls, " "))
	<-ctx.Done()
	return nil
}

func build(what, directory string, argv ...string) error {
	fmt.Fprintln(os.Stderr, what)
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir, command.Stdout, command.Stderr = directory, os.Stderr, os.Stderr
	return command.Run()
}
