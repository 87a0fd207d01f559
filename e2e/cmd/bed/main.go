// Command bed runs the test bed: two Kubernetes clusters, an object store and
// databases, all real, on one machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"lifeboat.dev/e2e/bed/layout"
)

// action is a subcommand.
type action struct {
	name  string // one word or two
	usage string // what follows "bed"
	help  string
	// setup declares flags and returns what to run with the remaining arguments.
	setup func(*flag.FlagSet) func(context.Context, layout.Dirs, []string) error
}

// errUsage makes main print how the subcommand is used.
var errUsage = errors.New("wrong number of arguments")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		printHelp()
		return nil
	}
	chosen, rest, err := choose(args)
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet(chosen.usage, flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Printf("Usage: bed %s\n\n%s\n", chosen.usage, chosen.help)
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
	}
	do := chosen.setup(flags)
	positional, err := parse(flags, rest)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if changing[chosen.name] {
		if err := lock(ctx); err != nil {
			return err
		}
	}
	// Behind the lock, since the bed that is up may have just become another.
	dirs, err := layout.Find()
	if err != nil {
		return err
	}
	err = do(ctx, dirs, positional)
	if errors.Is(err, errUsage) {
		return fmt.Errorf("%w; usage: bed %s", err, chosen.usage)
	}
	return err
}

// choose finds the subcommand, of one word or of two.
func choose(args []string) (action, []string, error) {
	for words := min(2, len(args)); words > 0; words-- {
		name := args[0]
		if words == 2 {
			name += " " + args[1]
		}
		for _, command := range commands {
			if command.name == name {
				return command, args[words:], nil
			}
		}
	}
	return action{}, nil, fmt.Errorf("there is no %q; `bed --help` lists what there is", args[0])
}

// parse lets flags stand behind arguments too, as people write them.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return positional, nil
		}
		positional = append(positional, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

func printHelp() {
	fmt.Print("The test bed: two Kubernetes clusters, an object store and databases, all real.\n\nUsage:\n")
	for _, command := range commands {
		if command.help != "" {
			fmt.Printf("  bed %-52s %s\n", command.usage, firstLine(command.help))
		}
	}
	fmt.Print("\n`bed COMMAND --help` says more. Most of it needs root.\n")
}

func firstLine(text string) string {
	for i, r := range text {
		if r == '\n' {
			return text[:i]
		}
	}
	return text
}
