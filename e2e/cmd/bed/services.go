package main

import (
	"context"
	"flag"
	"fmt"
	"slices"

	"lifeboat.dev/e2e/bed/influx"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/service"
	"lifeboat.dev/e2e/bed/store"
)

func startService(ctx context.Context, dirs layout.Dirs, args []string) error {
	if slices.Contains(store.Services, args[0]) {
		return store.StartService(ctx, dirs, args[0])
	}
	if _, err := influx.Find(dirs, args[0]); err != nil {
		return err
	}
	_, err := influx.Start(ctx, dirs, args[0], false)
	return err
}

func stopService(ctx context.Context, dirs layout.Dirs, args []string) error {
	if slices.Contains(store.Services, args[0]) {
		return service.Stop(ctx, dirs, store.Group, args[0])
	}
	return influx.Stop(ctx, dirs, args[0])
}

func influxStart(flags *flag.FlagSet) handler {
	auth := flags.Bool("auth", false, "ask for a user and a password; the administrator is "+
		layout.InfluxAdmin+" with the password "+layout.InfluxAdminPassword)
	return plainWith(1, func(ctx context.Context, dirs layout.Dirs, args []string) error {
		s, err := influx.Start(ctx, dirs, args[0], *auth)
		if err != nil {
			return err
		}
		fmt.Println(s.URL())
		return nil
	})
}

func influxStop(flags *flag.FlagSet) handler {
	remove := flags.Bool("delete", false, "remove its data and its address too")
	return plainWith(1, func(ctx context.Context, dirs layout.Dirs, args []string) error {
		if *remove {
			return influx.Delete(ctx, dirs, args[0])
		}
		return influx.Stop(ctx, dirs, args[0])
	})
}

func influxList(_ context.Context, dirs layout.Dirs, _ []string) error {
	for _, s := range influx.List(dirs) {
		fmt.Printf("%-24s %s  auth=%t  running=%t\n", s.Name, s.URL(), s.Auth, service.Pid(dirs, influx.Group, s.Name) != 0)
	}
	return nil
}
