// Package command runs other programs and puts what they said into the error.
package command

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Run runs a program to its end.
func Run(ctx context.Context, argv ...string) error {
	_, err := Output(ctx, argv...)
	return err
}

// Output runs a program to its end and returns what it wrote to its standard output.
func Output(ctx context.Context, argv ...string) (string, error) {
	return Pipe(ctx, "", argv...)
}

// Pipe runs a program with the given standard input.
func Pipe(ctx context.Context, input string, argv ...string) (string, error) {
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Stdout = &stdout
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String() + "\n" + stdout.String())
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, said)
	}
	return stdout.String(), nil
}
