package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"lifeboat.dev/e2e/bed/influx"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/service"
)

func status(_ context.Context, dirs layout.Dirs, _ []string) error {
	services := service.List(dirs)
	if len(services) == 0 {
		fmt.Println("nothing is up")
		return nil
	}
	dead := 0
	for _, s := range services {
		state := fmt.Sprintf("running, process %d", s.Pid)
		if s.Pid == 0 {
			state = "NOT RUNNING; see " + service.LogFile(dirs, s.Group, s.Name)
			dead++
		}
		fmt.Printf("%-36s %s\n", s.Group+"/"+s.Name, state)
	}
	fmt.Println()
	for _, c := range layout.Clusters {
		fmt.Printf("%-36s %s  %s\n", "cluster "+c.Name, c.Server(), dirs.Kubeconfig(c.Name))
	}
	fmt.Printf("%-36s %s  %s\n", "object store", layout.StoreHTTP, layout.StoreHTTPS)
	for _, s := range influx.List(dirs) {
		fmt.Printf("%-36s %s\n", s.Name, s.URL())
	}
	if dead > 0 {
		return fmt.Errorf("%d services have ended; `bed up` starts them again", dead)
	}
	return nil
}

func env(_ context.Context, dirs layout.Dirs, _ []string) error {
	for _, pair := range [][2]string{
		{"KUBECONFIG", dirs.Kubeconfig(layout.Primary.Name)},
		{"LIFEBOAT_BED_PRIMARY_KUBECONFIG", dirs.Kubeconfig(layout.Primary.Name)},
		{"LIFEBOAT_BED_STANDBY_KUBECONFIG", dirs.Kubeconfig(layout.Standby.Name)},
		{"LIFEBOAT_BED_S3_HTTP", layout.StoreHTTP},
		{"LIFEBOAT_BED_S3_HTTPS", layout.StoreHTTPS},
		{"LIFEBOAT_BED_S3_CA", dirs.StoreCA()},
		{"LIFEBOAT_BED_INFLUX_PRIMARY", "http://" + layout.InfluxPrimary.Address + ":8086"},
		{"LIFEBOAT_BED_INFLUX_STANDBY", "http://" + layout.InfluxStandby.Address + ":8086"},
	} {
		fmt.Printf("export %s=%s\n", pair[0], quote(pair[1]))
	}
	fmt.Printf("export PATH=%s:\"$PATH\"\n", quote(dirs.Bin("")))
	return nil
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func logs(*flag.FlagSet) handler {
	return func(_ context.Context, dirs layout.Dirs, args []string) error {
		files, err := filepath.Glob(dirs.Logs("*", "*.log"))
		if err != nil {
			return err
		}
		sort.Strings(files)
		var matching []string
		for _, file := range files {
			component := strings.TrimSuffix(strings.TrimPrefix(file, dirs.Logs()+"/"), ".log")
			switch {
			case len(args) == 0:
				fmt.Println(component)
			case component == args[0] || filepath.Base(component) == args[0]:
				matching = append(matching, file)
			}
		}
		switch {
		case len(args) == 0:
			return nil
		case len(matching) == 0:
			return fmt.Errorf("no log of %q; `bed logs` lists what there is", args[0])
		case len(matching) > 1:
			return errors.New("more than one of that name:\n  " + strings.Join(matching, "\n  "))
		}
		log, err := os.Open(matching[0])
		if err != nil {
			return err
		}
		defer log.Close()
		_, err = io.Copy(os.Stdout, log)
		return err
	}
}
