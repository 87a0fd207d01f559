package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"lifeboat.dev/e2e/bed/wait"
)

// lockFile is outside everything that `bed down` removes: a lock on a file that
// somebody else removes protects nothing.
const lockFile = "/run/lock/lifeboat-bed"

// changing are the subcommands that change what runs. Two at once, as two people or
// two test runs might start them, would undo each other's work.
var changing = map[string]bool{
	"up": true, "down": true, "start-cluster": true, "stop-cluster": true,
	"start": true, "stop": true, "influx start": true, "influx stop": true,
}

// held keeps the file open: a file that nothing refers to any more is closed by the
// garbage collector, and that gives the lock away.
var held *os.File

// lock waits until no other bed is changing anything. The kernel releases the lock
// when the process ends, in whatever way.
func lock(ctx context.Context) error {
	file, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the bed: %w", err)
	}
	held = file
	return wait.For(ctx, "another bed command finished", 10*time.Minute, func(context.Context) error {
		return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
}
